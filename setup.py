"""What setup.cfg cannot say: the folder rules/ is the package kdsl.rule_bases of a wheel."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["kdsl", "kdsl.*"]), "kdsl.rule_bases"],
    package_dir={"kdsl.rule_bases": "rules"},
)
