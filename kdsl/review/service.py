"""What a prediction service left: the log of its decisions, and feedback to them. The page never talks to it."""

from collections.abc import Collection

from kdsl.config import ProjectConfig
from kdsl.review.rule_feedback import ServiceFeedback
from kdsl.review.service_decisions import ServiceDecisions


class Service:
    """Safe for threads. It stays while the site is read anew."""

    def __init__(self, config: ProjectConfig, tasks: Collection[str]) -> None:
        self.decisions = ServiceDecisions(config.serve.log, tasks)
        self.feedback = ServiceFeedback(config.data.feedback_log)

    @property
    def there(self) -> bool:
        """Whether a service has logged decisions, or somebody gave feedback."""
        return self.decisions.there or self.feedback.there
