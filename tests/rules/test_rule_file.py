"""Rule files: read strictly, written in one form, comments kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.errors import KdslError
from kdsl.rules.rule import Rule
from kdsl.rules.rule_file import parse_rule, read_rule, rule_text
from kdsl.text import normalise

CANONICAL = """\
schema: 1
id: r-7f3k2m9q
label: "能否调光"
status: proposed
when:
  all:
    - last_user: ["亮度", "调光"]
    - not: {last_user: ["手机亮度"]}
    - ocr.bottom: ["立即购买"]
    - image.aspect: ">1.8"
    - sees: "图中有快递运输路径吗？"
provenance: {source: mcts, proposer: lexical, run: "2026-11-21T09:00", seed: 0}
review: {by: "", at: "", of: ""}
tests: {hit: [], miss: []}
notes: ""
"""


@pytest.fixture
def read(tmp_path):
    """Write a rule file and read it; the file's path is replaced by FILE in errors."""

    def run(text: str) -> Rule:
        path = tmp_path / "rule.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            return read_rule(path)
        except KdslError as error:
            raise KdslError(str(error).replace(str(path), "FILE")) from error

    return run


def test_the_form_in_the_design_is_read_and_written_to_the_letter(read):
    rule = read(CANONICAL)
    assert [str(condition) for condition in rule.conditions] == [
        "last_user has 亮度|调光",
        "not last_user has 手机亮度",
        "ocr.bottom has 立即购买",
        "image.aspect >1.8",
        "sees 图中有快递运输路径吗？",
    ]
    assert rule.provenance.seed == 0
    assert rule_text(rule) == CANONICAL


def test_a_meaning_is_written_with_its_number_and_read_again(read):
    meaning = 'means: {last_user: "退钱给我", at: 0.62, encoder: "use"}'
    text = CANONICAL.replace('image.aspect: ">1.8"', meaning)
    rule = read(text)
    assert rule.conditions[3].meaning.at == 0.62
    assert rule_text(rule) == text
    plain = read(text.replace(meaning, "means: {last_user: 退钱给我, at: 1, encoder: use}"))
    assert (plain.conditions[3].meaning.at, plain.conditions[3].meaning.encoder) == (1.0, "use")


@pytest.mark.parametrize("at", ["62", "0", "-.5", '"0.62"', "high"])
def test_how_near_is_a_number_from_0_to_1(read, at):
    told = {"62": "62.0", "0": "0.0", "-.5": "-0.5", "high": "'high'"}.get(at, "'0.62'")
    with pytest.raises(KdslError, match=rf"means: at is the least similarity, .* at most 1, not {told}"):
        read(CANONICAL.replace('image.aspect: ">1.8"', f'means: {{user: "退钱", at: {at}}}'))


def test_only_id_label_and_conditions_are_needed(read):
    rule = read('id: r-0001\nlabel: 退款\nwhen:\n  all:\n    - user:\n        - 退款\n        - "退 钱"\n')
    assert rule.status == "proposed"
    assert rule.conditions[0].terms == ("退款", "退 钱")


def replaced(old: str, new: str) -> str:
    assert old in CANONICAL
    return CANONICAL.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (replaced("status:", "label:"), "FILE, line 4: the key 'label' is given twice; keep one of the two"),
        (replaced("status: ", "status："), "FILE, line 4: full-width colon after 'status'; write `status: ` instead"),
        (
            replaced('last_user: ["亮', 'last_user：["亮'),
            "full-width colon after 'last_user'; write `last_user: ` instead",
        ),
        (
            replaced('"亮度"', "no"),
            'FILE, line 7: last_user: YAML does not take no without quotes for text; write "no"',
        ),
        (replaced('"亮度"', "1.5"), 'last_user: YAML does not take 1.5 without quotes for text; write "1.5"'),
        (replaced('"亮度"', "[图片]"), "FILE, line 7: when.all.1: last_user: the term ['图片'] is not text"),
        (replaced('"能否调光"', "退款 #1"), "FILE, line 3: label: YAML takes what follows '退款' for a comment"),
        (replaced('"亮度"', "&a 亮度"), "FILE, line 7: the anchor &a is not allowed in rule files"),
        (replaced('"亮度"', "*a"), "FILE, line 7: "),
        (replaced('"亮度"', "!!str 1"), "FILE, line 7: the tag tag:yaml.org,2002:str is not allowed in rule files"),
        (replaced("last_user:", "first_user:"), "FILE, line 7: when.all.1: unknown field 'first_user'; fields are"),
        (replaced('"亮度"', '" "'), "FILE, line 7: when.all.1.terms: the term ' ' is empty once normalised"),
        (replaced('["亮度", "调光"]', "[]"), "FILE, line 7: when.all.1: last_user takes a list of one or more terms"),
        (replaced('">1.8"', '"1.8"'), "FILE, line 10: when.all.4: image.aspect takes a comparison in quotes"),
        (replaced("proposed", "maybe"), "FILE, line 4: status is 'maybe'; it must be"),
        (replaced("notes:", "note:"), "FILE, line 15: unknown key 'note'; did you mean 'notes'?"),
        (replaced("schema: 1", "schema: 2"), "FILE, line 1: schema is 2; it must be"),
        (replaced("id: r-7f3k2m9q", "id: 7"), 'id: YAML does not take 7 without quotes for text; write "7"'),
        (replaced('notes: ""', "notes:"), 'FILE, line 15: notes has no value; write "" for empty text'),
        (CANONICAL + "---\na: 1\n", "FILE, line 16: a second document begins; keep one rule a file"),
        (CANONICAL + '"', "FILE, line 1"),
        ("", "FILE: holds nothing; expected a rule"),
        ("- a\n", "FILE: holds"),
        ("id: r-0001\nlabel: a\n", "FILE: the key 'when' is missing"),
        ("id: \x01\n", "FILE: holds the character"),
    ],
)
def test_mistakes_are_told_with_their_line(read, text, sentence):
    with pytest.raises(KdslError) as error:
        read(text)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (
            "[“亮度”]",
            'the quotation marks of “亮度” are text for YAML; write "亮度", or "“亮度”" where',
        ),
        ("[‘亮度’, 调光]", 'the quotation marks of ‘亮度’ are text for YAML; write "亮度"'),
        ("[“亮度, 调光”]", 'the quotation marks of “亮度 are text for YAML; write "亮度"'),
        ("[亮度, 调光”]", 'the quotation marks of 调光” are text for YAML; write "调光"'),
        ("[「亮度」]", 'the quotation marks of 「亮度」 are text for YAML; write "亮度"'),
        ('[“亮度"]', 'the quotation marks of “亮度" are text for YAML; write "亮度"'),
        ("“亮度”", 'the quotation marks of “亮度” are text for YAML; write "亮度"'),
        ("\n        - ＂亮度＂", 'the quotation marks of ＂亮度＂ are text for YAML; write "亮度"'),
        (
            "[亮度，调光]",
            'in 亮度，调光 is text for YAML; write "亮度", "调光", or "亮度，调光"',
        ),
        ("[亮度、调光]", "the '、' in 亮度、调光 is text for YAML"),
        ("[亮度\u3000调光]", "in 亮度\u3000调光 is text for YAML"),
        ('["亮度"，"调光"]', "text follows where a comma, a bracket or the line's end is due"),
        ("[亮\u0085度]", "YAML reads over a line break, and takes '亮 度'; put the text in double quotes"),
        ("[亮度\n        调光]", "YAML reads over a line break, and takes '亮度 调光'"),
        ("[@客服]", "text that begins with a sign such as @ * & % ` | > or ! must stand in double quotes"),
        ("[%折]", "text that begins with a sign such as @"),
        ("[*]", "text that begins with a sign such as @"),
        ("[- 亮度]", "text that begins with - or with a colon, or ends in one, must stand in double quotes"),
        ("[0x1F]", 'YAML does not take 0x1F without quotes for text; write "0x1F"'),
        ("[0b11]", 'YAML does not take 0b11 without quotes for text; write "0b11"'),
        ("[12:30]", 'YAML does not take 12:30 without quotes for text; write "12:30"'),
        ("[+86]", 'YAML does not take +86 without quotes for text; write "+86"'),
        ("[=]", 'YAML does not take = without quotes for text; write "="'),
        ("[~]", 'YAML does not take ~ without quotes for text; write "~"'),
        ("【亮度】", 'last_user takes a list of one or more terms in quotes, like ["亮度", "调光"], not \'【亮度】\''),
    ],
)
def test_what_yaml_reads_otherwise_than_it_looks_is_told(read, written, sentence):
    with pytest.raises(KdslError) as error:
        read(replaced('["亮度", "调光"]', written))
    assert ", line 7: " in str(error.value) or ", line 8: " in str(error.value)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("written", "term"),
    [
        ('"“亮度”"', "“亮度”"), ('"亮度，调光"', "亮度，调光"), ("'亮度、调光'", "亮度、调光"), ("don’t", "don’t"),
        ("他说“好”", "他说“好”"), ("“好评”返现", "“好评”返现"), ("dogs’", "dogs’"), ("１２", "１２"),
        ("【包邮】", "【包邮】"), ("尺码：大", "尺码：大"),
        ("\u3000亮度", "\u3000亮度"), ('27"屏', '27"屏'), ("a:b", "a:b"), ("-", "-"),
    ],
)  # fmt: skip
def test_a_term_that_can_mean_one_thing_only_is_read_as_it_is_written(read, written, term):
    assert read(replaced('"亮度"', written)).conditions[0].terms == (term, "调光")


def test_a_term_with_a_comma_may_stand_on_a_line_of_its_own(read):
    assert read(replaced('["亮度", "调光"]', "\n        - 亲，在吗")).conditions[0].terms == ("亲，在吗",)


def test_notes_are_prose(read):
    assert read(replaced('notes: ""', "notes: “亮度”一词，太宽”")).notes == "“亮度”一词，太宽”"


def test_quotation_marks_count_outside_terms_too(read):
    with pytest.raises(KdslError, match="line 3: label: the quotation marks of “能否调光” are text for YAML"):
        read(replaced('"能否调光"', "“能否调光”"))
    with pytest.raises(KdslError, match=r"line 14: hit: the '，' in s1，s2 is text for YAML"):
        read(replaced("hit: [", "hit: [s1，s2, "))


def test_an_indentation_of_full_width_spaces_is_told(read):
    with pytest.raises(
        KdslError, match=r"line 6: begins with '\\u3000', which is no space for YAML; use plain spaces"
    ):
        read(replaced("\n  all:", "\n\u3000all:"))


def test_comments_stay_where_they_were(read):
    text = "# Asked by the lamp shop.\n" + CANONICAL.replace('"调光"]', '"调光"]  # both words are common').replace(
        '"立即购买"]', '"立即购买"]   # the button'
    ).replace("status: proposed", "status: proposed # for now").replace("notes:", "# Nothing yet.\nnotes:")
    rule = read(text)
    changed = rule.model_copy(
        update={
            "status": "accepted",
            "when": rule.when.model_copy(update={"all": (rule.conditions[0], *rule.conditions[2:])}),
        }
    )
    written = rule_text(changed, text)
    assert read(written) == changed
    assert written.startswith("# Asked by the lamp shop.\nschema: 1\n")
    assert "status: accepted # for now\n" in written
    assert '- last_user: ["亮度", "调光"]  # both words are common\n' in written
    assert '- ocr.bottom: ["立即购买"]   # the button\n' in written
    assert "手机亮度" not in written
    assert '# Nothing yet.\nnotes: ""\n' in written


def test_a_file_with_comments_gets_the_one_form_too(read):
    text = "label: 退款 \nid: r-0001   # mine\nwhen: {all: [user: [退款, '退钱']]}\n"
    written = rule_text(read(text), text)
    assert 'label: "退款"' in written and "# mine" in written and '["退款", "退钱"]' in written
    assert rule_text(read(written), written) == written


def test_comments_inside_lists_stay(read):
    text = (
        'id: r-0001\nlabel: 退款\nwhen:\n  all:\n    - user:\n      - "退款"  # first\n      # second\n      - 退钱\n'
        "tests:\n  hit:\n    - s1  # a clear case\n  miss: []\n"
    )
    rule = read(text)
    changed = rule.model_copy(update={"tests": rule.tests.model_copy(update={"miss": ["s2"]})})
    written = rule_text(changed, text)
    assert read(written) == changed
    assert all(comment in written for comment in ("# first", "# second", "# a clear case"))


texts = st.text(max_size=12)
terms = texts.filter(lambda text: bool(normalise(text)) and not any("\ud800" <= c <= "\udfff" for c in text))
conditions = st.one_of(
    st.lists(terms, min_size=1, max_size=3).map(lambda found: {"user": found}),
    terms.filter(lambda text: text.strip()).map(lambda question: {"not": {"sees": question}}),
    st.builds(
        lambda wordings, at, encoder: {"means": {"last_user": wordings, "at": at, **encoder}},
        st.one_of(terms, st.lists(terms, min_size=1, max_size=2)),
        st.floats(1e-9, 1),
        st.one_of(st.just({}), terms.filter(lambda text: text.strip()).map(lambda name: {"encoder": name})),
    ),
)
rules = st.builds(
    lambda label, tests, notes, by, hits: Rule(
        id="r-0000", label=label, when={"all": tests}, notes=notes, review={"by": by}, tests={"hit": hits}
    ),
    terms,
    st.lists(conditions, min_size=1, max_size=3),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    terms,
    st.lists(terms, max_size=2),
)


@given(rules)
def test_any_rule_reads_back_as_it_was_written(tmp_path_factory, rule):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    assert parse_rule(path, rule_text(rule)) == rule


@given(rules, rules)
def test_any_rule_can_be_written_over_a_file_with_comments(tmp_path_factory, old, new):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    previous = rule_text(old).replace("when:\n", "when: # because\n").replace("status:", "# decided\nstatus:")
    written = rule_text(new, previous)
    assert parse_rule(path, written) == new
    assert "# because" in written and "# decided" in written


@pytest.mark.parametrize(("plain", "odd"), [("status: ", "status:\t"), ("\n", "\u2028")])
def test_comments_that_cannot_be_kept_are_one_sentence(tmp_path, plain, odd):
    """What libyaml takes for a rule, and ruamel for a mistake."""
    rule = Rule(id="r-aaaa", label="退款", when={"all": [{"user": ["退"]}]})
    previous = "# why\n" + rule_text(rule).replace(plain, odd)
    assert parse_rule(tmp_path / "a.yaml", previous) == rule
    with pytest.raises(
        KdslError, match=r"rule r-aaaa: the comments in its file cannot be kept \(.*; write the file in"
    ):
        rule_text(rule, previous)
