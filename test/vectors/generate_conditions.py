"""Writes conditions.json. Run: python3 test/vectors/generate_conditions.py

Every expected answer below was put down by hand from the specifications (RFC 3339, SemVer 2.0, RFC 4291, CaseFolding.txt,
RE2's syntax page). A second opinion is computed here with Python's own means, without any of the service's code:
ipaddress, exact fractions for times, a plain SemVer comparison, Unicode data for case. Where the two differ the script
fails. Cases of `matches` whose syntax Python's re does not share have only the first opinion (re=False).
"""
import ipaddress
import json
import os
import re
from datetime import date
from fractions import Fraction

MISSING = object()
cases = []
names = set()


# --- the second opinion -------------------------------------------------------------------------------------------

S_FOLDINGS = {0x1E9E: 0xDF, 0x1FD3: 0x390, 0x1FE3: 0x3B0, 0xFB05: 0xFB06}  # status S where the lower-case form will not do


def fold(text):
    out = []
    for char in text:
        full = char.casefold()
        if len(full) == 1:
            out.append(full)
        elif ord(char) in S_FOLDINGS:
            out.append(chr(S_FOLDINGS[ord(char)]))
        else:
            lower = char.lower()
            out.append(lower if len(lower) == 1 else char)
    return "".join(out)


def moment(text):
    m = re.fullmatch(
        r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})", text
    )
    if not m:
        return None
    y, mo, d, h, mi, s = (int(m.group(i)) for i in range(1, 7))
    # Python has no year 0 and none past 9999: the calendar repeats itself every 400 years, which are 146,097 days.
    try:
        days = date(y % 400 + 400, mo, d).toordinal() + (y // 400) * 146097
    except ValueError:
        return None
    offset = 0
    if m.group(8) not in "Zz":
        oh, om = int(m.group(8)[1:3]), int(m.group(8)[4:6])
        if oh > 23 or om > 59:
            return None
        offset = (oh * 60 + om) * (1 if m.group(8)[0] == "+" else -1)
    if h > 23 or mi > 59 or s > 60:
        return None
    minutes = days * 1440 + h * 60 + mi - offset
    fraction = Fraction("0" + m.group(7)) if m.group(7) else Fraction(0)
    if s == 60:
        if minutes % 1440 != 1439 or date.fromordinal((minutes // 1440 + 1) % 146097 + 146097).day != 1:
            return None
        return (minutes * 60 + 59, 1, fraction)
    return (minutes * 60 + s, 0, fraction)


SEMVER = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)


def version(text):
    m = SEMVER.fullmatch(text)
    if not m:
        return None
    pre = m.group(4)
    parts = [(0, int(p), "") if re.fullmatch("[0-9]+", p) else (1, 0, p) for p in pre.split(".")] if pre else []
    return (int(m.group(1)), int(m.group(2)), int(m.group(3)), 0 if pre else 1, parts)


def address(text):
    if "%" in text:
        return None
    try:
        a = ipaddress.ip_address(text)
    except ValueError:
        return None
    return a.ipv4_mapped or a if a.version == 6 else a


def network(text):
    n = ipaddress.ip_network(text, strict=False)
    if n.version == 6 and n.network_address.ipv4_mapped and n.prefixlen >= 96:
        return ipaddress.ip_network((n.network_address.ipv4_mapped, n.prefixlen - 96), strict=False)
    return n


def is_number(v):
    return isinstance(v, (int, float)) and not isinstance(v, bool)


def scalar(node, v):
    op, values, ic = node["op"], node.get("values", []), node.get("ignore_case", False)
    f = fold if ic else (lambda t: t)
    if op == "exists":
        return True
    if op in ("equals", "in"):
        if isinstance(v, str):
            return f(v) in [f(x) for x in values if isinstance(x, str)]
        return isinstance(v, bool) and any(x is v for x in values)
    if op in ("contains", "starts_with", "ends_with"):
        if not isinstance(v, str):
            return False
        test = {"contains": str.__contains__, "starts_with": str.startswith, "ends_with": str.endswith}[op]
        return any(test(f(v), f(x)) for x in values)
    if op == "matches":
        return isinstance(v, str) and any(re.search(x, v, re.A | (re.I if ic else 0)) is not None for x in values)
    if op in ("eq", "gt", "gte", "lt", "lte"):
        compare = {"eq": lambda a, b: a == b, "gt": lambda a, b: a > b, "gte": lambda a, b: a >= b, "lt": lambda a, b: a < b, "lte": lambda a, b: a <= b}[op]
        return is_number(v) and any(compare(float(v), float(x)) for x in values)
    if not isinstance(v, str):
        return False
    if op in ("before", "after"):
        at = moment(v)
        return at is not None and any(at < moment(x) if op == "before" else at > moment(x) for x in values)
    if op.startswith("semver_"):
        a = version(v)
        compare = {"eq": lambda b: a == b, "gt": lambda b: a > b, "gte": lambda b: a >= b, "lt": lambda b: a < b, "lte": lambda b: a <= b}[op[7:]]
        return a is not None and any(compare(version(x)) for x in values)
    if op == "in_cidr":
        a = address(v)
        return a is not None and any(a in n for n in map(network, values) if n.version == a.version)
    raise AssertionError(op)


def lookup(context, name):
    if name == "user_id":
        return context["user_id"]
    attributes = context["attributes"]
    if name in attributes:
        return attributes[name]
    if "." not in name or name.split(".")[0] == "user_id":
        return MISSING
    value = attributes
    for step in name.split("."):
        if not isinstance(value, dict) or step not in value:
            return MISSING
        value = value[step]
    return value


def holds(node, context):
    if "all" in node:
        result = all(holds(n, context) for n in node["all"])
    elif "any" in node:
        result = any(holds(n, context) for n in node["any"])
    else:
        value = lookup(context, node["attribute"])
        if value is MISSING or value is None:
            result = False
        elif isinstance(value, list):
            result = any(scalar(node, v) for v in value if v is not None)
        else:
            result = scalar(node, value)
    return result != node.get("negate", False)


# --- the first opinion ----------------------------------------------------------------------------------------------


def add(operator, name, when, context, expected, second=True):
    assert (operator, name) not in names, f"two cases {operator}: {name}"
    names.add((operator, name))
    if second:
        assert holds(when, context) is expected, f"{operator}: {name}: put down as {expected}, computed otherwise"
    cases.append({"name": name, "operator": operator, "when": when, "context": context, "matches": expected})


def compare(op, values, value, expected, name, second=True, **more):
    """One comparison of attribute `a`; and the same negated, which must be the opposite."""
    when = {"attribute": "a", "op": op, **({} if op == "exists" else {"values": values}), **more}
    context = {"user_id": "u1", "attributes": {} if value is MISSING else {"a": value}}
    add(op, name, when, context, expected, second)
    return when, context


def wrong(op, values, wrong_types, **more):
    """What no operator but exists may match, each also negated."""
    for label, value in [("missing", MISSING), ("null", None), ("an empty array", []), ("an array of null", [None]), ("an object", {"a": 1}), ("an empty object", {}), ("a nested array", [[]]), *wrong_types]:
        when, context = compare(op, values, value, False, f"{label} does not match", **more)
        add(op, f"{label} matches when negated", {**when, "negate": True}, context, True)


# equals and in
for op in ("equals", "in"):
    wrong(op, ["x", True], [("a number", 1), ("false where true is wanted", False), ("the text true where true is wanted", "true"), ("an array of objects", [{"x": "x"}]), ("an array in an array", [["x"]])])
    compare(op, ["x"], "x", True, "the same text")
    compare(op, ["x"], "X", False, "case counts")
    compare(op, ["x"], "x ", False, "blanks count")
    compare(op, ["x"], "xx", False, "not a part of the text")
    compare(op, [""], "", True, "the empty text equals itself")
    compare(op, [""], " ", False, "a blank is not empty")
    compare(op, ["true"], True, False, "true is not the text true")
    compare(op, [True], True, True, "true")
    compare(op, [False], False, True, "false")
    compare(op, ["0"], 0, False, "a number is not its text")
    compare(op, [True], 1, False, "1 is not true")
    compare(op, ["a", "b", "c"], "c", True, "any of several values")
    compare(op, ["a", "b", "c"], "d", False, "none of several values")
    compare(op, ["a", True], True, True, "texts and booleans together")
    compare(op, ["b"], ["a", "b"], True, "any element of an array")
    compare(op, ["c"], ["a", "b"], False, "no element of an array")
    compare(op, ["b"], [1, None, "b"], True, "elements of other types are passed over")
    compare(op, [True], ["true", True], True, "a boolean among texts")
    compare(op, ["b"], [["b"]], False, "a text in an array in an array")
    compare(op, ["\u00e9"], "e\u0301", False, "composed is not decomposed")
    compare(op, ["e\u0301"], "e\u0301", True, "a combining accent as it is")
    compare(op, ["😀"], "😀", True, "an astral character")
    compare(op, ["😀"], "\ud83d", False, "half of a pair is not the pair")
    compare(op, ["😀"], "\ude00", False, "the other half is not the pair either")
    compare(op, ["ß"], "ẞ", False, "sharp s without ignore_case")
    compare(op, ["constructor"], "constructor", True, "a text that is a name in every object")
    compare(op, ["__proto__"], "__proto__", True, "a text that is a name of a prototype")
    compare(op, ["x"], "x\u0000", False, "U+0000 counts")
    when, context = compare(op, ["x"], ["y"], False, "before negating an array without it")
    add(op, "negated: an array without it", {**when, "negate": True}, context, True)
    when, context = compare(op, ["x"], ["y", "x"], True, "before negating an array with it")
    add(op, "negated: an array with it among others", {**when, "negate": True}, context, False)

# ignore_case, simple folding by code point
FOLDED = [
    ("ASCII", "HeLLo", "hEllO", True),
    ("the Kelvin sign is a k", "k", "\u212a", True),
    ("and a capital K", "K", "\u212a", True),
    ("long s is an s", "s", "ſ", True),
    ("and a capital S", "S", "ſ", True),
    ("capital sharp s is a sharp s", "ß", "ẞ", True),
    ("sharp s is not ss", "ß", "ss", False),
    ("nor SS", "ß", "SS", False),
    ("dotless i is not i", "i", "ı", False),
    ("nor I", "I", "ı", False),
    ("I with a dot is not i", "i", "İ", False),
    ("I with a dot is itself", "İ", "İ", True),
    ("I with a dot is not i with a combining dot", "i\u0307", "\u0130", False),
    ("final sigma is a sigma", "σ", "ς", True),
    ("capital sigma is a sigma", "Σ", "ς", True),
    ("a word with sigmas", "ΟΔΥΣΣΕΥΣ", "οδυσσευς", True),
    ("micro sign is a mu", "\u03bc", "\u00b5", True),
    ("Ohm sign is an omega", "\u03c9", "\u2126", True),
    ("Angstrom sign is an a with a ring", "\u00e5", "\u212b", True),
    ("but not when it is decomposed", "\u00e5", "A\u030a", False),
    ("accents count", "e", "\u00c9", False),
    ("Latin with accents", "ÉCOLE", "école", True),
    ("Cyrillic", "ЖУК", "жук", True),
    ("Greek iota below is an iota", "ι", "\u0345", True),
    ("titlecase digraph", "ǆ", "ǅ", True),
    ("capital digraph", "ǆ", "Ǆ", True),
    ("the ligature fi is not fi", "fi", "ﬁ", False),
    ("the two ligatures of st are one", "ﬅ", "ﬆ", True),
    ("Greek iota with dialytika and either accent", "\u0390", "\u1fd3", True),
    ("Greek with iota below, capital", "\u1f80", "\u1f88", True),
    ("Deseret, astral", "𐐨", "𐐀", True),
    ("Adlam, astral", "𞤢", "𞤀", True),
    ("Cherokee, small and old letters", "Ꭰ", "ꭰ", True),
    ("Cherokee, the last row", "\u13f0", "\u13f8", True),
    ("Georgian capitals", "ა", "Ა", True),
    ("full-width letters", "ａ", "Ａ", True),
    ("full-width is not ASCII", "a", "Ａ", False),
    ("roman numerals", "ⅷ", "Ⅷ", True),
    ("circled letters", "ⓐ", "Ⓐ", True),
    ("digits have no case", "1", "١", False),
    ("modifier letters have none", "a", "ª", False),
    ("n with an apostrophe stays", "ŉ", "ʼN", False),
]
for op in ("equals", "contains", "starts_with", "ends_with"):
    for label, value, text, expected in FOLDED:
        compare(op, [value], text, expected, f"ignore_case: {label}", ignore_case=True)
for label, value, text, expected in FOLDED[:12]:
    compare("in", ["other", value, True], text, expected, f"ignore_case: {label}", ignore_case=True)
compare("in", ["x", True], True, True, "ignore_case: booleans stay booleans", ignore_case=True)
compare("in", ["TRUE"], True, False, "ignore_case: a boolean is not a text", ignore_case=True)
compare("equals", ["ab"], "a", False, "ignore_case: shorter", ignore_case=True)
compare("equals", ["ab"], "ABC", False, "ignore_case: longer", ignore_case=True)
compare("equals", ["AB"], ["x", "aB"], True, "ignore_case: an element of an array", ignore_case=True)

# contains, starts_with, ends_with
for op in ("contains", "starts_with", "ends_with"):
    wrong(op, ["1"], [("a number with it", 1), ("true", True), ("an object with it as a name", {"1": "1"}), ("an array in an array", [["1"]])])
    compare(op, ["a"], "a", True, "the whole text")
    compare(op, ["a"], "", False, "an empty text")
    compare(op, ["abc"], "ab", False, "longer than the text")
    compare(op, ["A"], "a", False, "case counts")
    compare(op, ["x", "b"], "b", True, "any of several values")
    compare(op, ["x", "y"], "b", False, "none of several values")
    compare(op, ["abcd", "bc"], "abc", op != "starts_with", "a value that ends in the middle of another")
    compare(op, ["abcd", "bc"], "bcd", op != "ends_with", "a value that begins in the middle of another")
    compare(op, ["b"], ["a", "b"], True, "any element of an array")
    compare(op, ["ab"], ["a", "b"], False, "elements are not joined")
    compare(op, ["😀"], "😀", True, "an astral character")
    compare(op, ["😀"], "\ud83d", False, "half of a pair")
    compare(op, ["😀"], "\ud83d\ud83d\ude00\ude00", op == "contains", "a pair between halves", second=False)
    compare(op, ["Ａ"], "\ud83dＡ", op != "starts_with", "half of a pair takes nothing of what follows")
    compare(op, ["."], "a", False, "no pattern: a dot is a dot")
    compare(op, ["a*"], "aaa", False, "no pattern: a star is a star")
    compare(op, ["\u00e9"], "e\u0301", False, "composed is not decomposed")
compare("contains", ["lo w"], "hello world", True, "in the middle")
compare("contains", ["hello"], "hello world", True, "at the start")
compare("contains", ["world"], "hello world", True, "at the end")
compare("contains", ["e"], "e\u0301", True, "a letter before its combining accent")
compare("contains", ["aab"], "aaaab", True, "found behind a false start")
compare("contains", ["abab", "bac"], "ababac", True, "values that overlap")
compare("contains", ["abcd", "bce"], "abce", True, "the ending of one value begins another")
compare("contains", ["she", "he", "hers"], "ushers", True, "values within values")
compare("contains", ["hers"], "usher s", False, "not across a blank")
compare("contains", ["aaab"], "aabaab", False, "nearly, twice")
compare("contains", ["\n"], "a\nb", True, "a line break is a character")
compare("contains", ["ж"], "ажб", True, "Cyrillic among ASCII-like letters")
compare("contains", ["日本"], "こんにちは日本語", True, "Japanese")
compare("starts_with", ["he"], "hello", True, "the start")
compare("starts_with", ["el"], "hello", False, "not in the middle")
compare("starts_with", ["hello", "he"], "help", True, "the shorter of two values that begin alike")
compare("starts_with", ["a", "ab", "b", "ba"], "c", False, "behind all values")
compare("starts_with", ["b", "d", "f"], "e", False, "between two values")
compare("starts_with", ["b", "bad", "c"], "bae", True, "a value between a shorter one and the text")
compare("starts_with", ["ba", "bac"], "bb", False, "near two values")
compare("starts_with", ["KE"], "\u212aelvin", True, "ignore_case: the text folds", ignore_case=True)
compare("ends_with", ["lo"], "hello", True, "the end")
compare("ends_with", ["ell"], "hello", False, "not in the middle")
compare("ends_with", ["@example.com", "@example.org"], "kim@example.org", True, "domains of mail addresses")
compare("ends_with", ["example.com"], "kim@example.com.evil", False, "a domain in the middle")
compare("ends_with", ["o", "llo"], "halo", True, "the shorter of two values that end alike")
compare("ends_with", ["@EXAMPLE.com"], "kim@example.COM", True, "ignore_case: a domain", ignore_case=True)
compare("ends_with", ["𐐨x"], "a𐐀X", True, "ignore_case: an astral letter before the last", ignore_case=True)
compare("contains", ["bar"], "foo BAR baz", True, "ignore_case: in the middle", ignore_case=True)
compare("contains", ["STRASSE"], "straße", False, "ignore_case: sharp s in a word", ignore_case=True)

# matches
wrong("matches", ["."], [("a number", 1), ("true", True), ("an array in an array", [["a"]])])
MATCHES = [
    ("b", "abc", True, "unanchored"),
    ("^b", "abc", False, "^ is the start of the text"),
    ("^a", "abc", True, "^ at the start"),
    ("c$", "abc", True, "$ at the end"),
    ("b$", "abc", False, "$ is the end of the text"),
    ("^abc$", "abc", True, "the whole text"),
    ("^$", "", True, "the empty text"),
    ("^$", "a", False, "not the empty text"),
    ("a.c", "abc", True, "a dot is one character"),
    ("a.c", "ac", False, "a dot is not none"),
    ("a.c", "a\nc", False, "a dot is no line break"),
    ("(?s)a.c", "a\nc", True, "with s it is"),
    ("^b", "a\nb", False, "^ is not the start of a line"),
    ("(?m)^b", "a\nb", True, "with m it is"),
    ("(?m)a$", "a\nb", True, "with m $ is the end of a line"),
    ("a|b", "b", True, "alternatives"),
    ("^(?:a|b)+$", "abba", True, "a group repeated"),
    ("^(?:a|b)+$", "abca", False, "a group repeated, with another letter"),
    ("colou?r", "the color", True, "optional"),
    ("^a{2,3}$", "a", False, "counted: too few"),
    ("^a{2,3}$", "aa", True, "counted: enough"),
    ("^a{2,3}$", "aaaa", False, "counted: too many"),
    ("^a{2,}$", "aaaaaa", True, "counted without an end"),
    ("^a{0}b", "b", True, "counted: none"),
    ("[a-c]", "xb", True, "a class"),
    ("[^a-c]", "abc", False, "a negated class"),
    ("[]a]", "]", True, "a bracket first in a class"),
    ("[a-]", "-", True, "a hyphen last in a class"),
    (r"^\d{4}-\d{2}$", "2030-01", True, "digits"),
    (r"\d", "٣", False, "digits are ASCII"),
    (r"\w", "é", False, "word characters are ASCII"),
    (r"\W", "é", True, "and what is not ASCII is none"),
    (r"\s", "a b", True, "blanks"),
    (r"\bcat\b", "a cat sat", True, "word boundaries"),
    (r"\bcat\b", "concatenate", False, "no word boundary"),
    (r"\bcat\b", "cat", True, "word boundaries at both ends"),
    (r"\Bcat", "concat", True, "inside of a word"),
    (r"\Bcat", "cat", False, "not inside of a word"),
    (r"\.", "a.b", True, "an escaped dot"),
    (r"\.", "ab", False, "an escaped dot, without one"),
    ("[.]", "ab", False, "a dot in a class"),
    ("é", "café", True, "a letter that is not ASCII"),
    ("^.$", "😀", True, "an astral character is one character"),
    ("^..$", "😀", False, "and not two"),
    ("^.$", "e\u0301", False, "a combining accent is a character of its own"),
    ("[😀-😂]", "😁", True, "astral characters in a class"),
    ("A", "a", False, "case counts"),
    ("(?i)A", "a", True, "with i it does not"),
    ("^(a*)*$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", True, "nested repetitions"),
    ("^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa!", False, "nested repetitions that fail, which would take for ever elsewhere"),
    ("(x+x+)+y", "xxxxxxxxxxxxxxxxxxxxxxxxxxxx", False, "the same without anchors"),
    ("^[a-z0-9._-]+@[a-z0-9-]+[.][a-z]{2,}$", "kim@example.com", True, "a mail address"),
    ("^[a-z0-9._-]+@[a-z0-9-]+[.][a-z]{2,}$", "kim@example", False, "no mail address"),
    ("a.*c.*e", "abcde", True, "gaps"),
    ("a.*?c", "abc", True, "a lazy repetition"),
    ("()", "", True, "an empty group"),
    ("a||b", "zzz", True, "an empty alternative matches everywhere"),
    ("foo(?:bar)?$", "xfoo", True, "an optional ending"),
    ("aab", "aaab", True, "found behind a false start"),
    ("(?:ab|abc)d", "abcd", True, "the longer alternative"),
    ("\t", "a\tb", True, "a tab as it is"),
    (r"\x41", "A", True, "a hexadecimal escape"),
    (r"\101", "A", True, "an octal escape"),
    (r"\n", "a\nb", True, "an escaped line break"),
]
for pattern, text, expected, label in MATCHES:
    compare("matches", [pattern], text, expected, label)
RE2_ONLY = [
    (r"\pL", "é", True, "a Unicode class"),
    (r"\p{Greek}", "ω", True, "a script"),
    (r"\p{Greek}", "w", False, "another script"),
    (r"\PL", "1", True, "a negated Unicode class"),
    (r"\p{^L}", "é", False, "a negated Unicode class in braces"),
    (r"[\p{L}\p{Nd}]", "٣", True, "Unicode classes in a class"),
    (r"\p{Lu}", "é", False, "capital letters"),
    ("[[:alpha:]]", "é", False, "POSIX classes are ASCII"),
    ("[[:alpha:]_]+", "a_b", True, "a POSIX class in a class"),
    ("[[:^digit:]]", "5", False, "a negated POSIX class"),
    (r"\Qa.b\E", "axb", False, "quoted: a dot is a dot"),
    (r"\Qa.b\E", "a.b", True, "quoted"),
    (r"\Qa.b", "a.b", True, "quoted to the end"),
    (r"\x{1F600}", "😀", True, "an astral character by its number"),
    (r"a\z", "a\n", False, r"\z is the very end"),
    (r"a\z", "ba", True, r"\z at the end"),
    ("a$", "a\n", False, "$ is not before a last line break"),
    (r"\Aa", "ba", False, r"\A is the start"),
    ("(?P<n>a)", "a", True, "a named group"),
    ("(?<n>a)", "a", True, "a named group, the newer way"),
    ("(?U)a+", "aa", True, "U swaps lazy and greedy"),
    ("(?i:a)B", "AB", True, "i for a group"),
    ("(?i:a)B", "Ab", False, "i for a group only"),
    ("(?i)a(?-i)B", "AB", True, "i turned off"),
    ("(?i)a(?-i)B", "ab", False, "i turned off counts"),
    ("{", "{", True, "a brace that is no repetition"),
    ("a{,2}", "a{,2}", True, "braces without a least number are text"),
    ("a{,2}", "aa", False, "and no repetition"),
    ("^.$", "\ud83d", True, "half of a pair is one character"),
    ("😀", "\ud83d", False, "and not the pair"),
    ("Ａ", "\ud83dＡ", True, "half of a pair takes nothing of what follows"),
    (r"\w", "ſ", False, "long s is no word character"),
    (r"(?i)\bk", "\u212a", False, "the Kelvin sign has no word boundary"),
    ("(?i)k", "\u212a", True, "i: the Kelvin sign is a k"),
    ("(?i)ſ", "S", True, "i: long s is an s"),
    ("(?i)[k]", "\u212a", True, "i: the Kelvin sign in a class"),
    ("(?i)ß", "ẞ", True, "i: sharp s"),
    ("(?i)σ", "ς", True, "i: sigmas"),
    ("(?i)i", "ı", False, "i: dotless i"),
    ("(?i)İ", "i", False, "i: I with a dot"),
    ("(?i)𐐀", "𐐨", True, "i: an astral letter"),
    ("[^\\x00-\\x{10FFFF}]", "a", False, "a class of nothing"),
]
for pattern, text, expected, label in RE2_ONLY:
    compare("matches", [pattern], text, expected, label, second=False)
compare("matches", ["^a", "^b"], "bc", True, "any of several patterns")
compare("matches", ["^a", "^b"], "cb", False, "none of several patterns")
compare("matches", ["^b$"], ["a", "b"], True, "any element of an array")
compare("matches", ["ab"], ["a", "b"], False, "elements are not joined")
compare("matches", ["hello"], "HELLO", True, "ignore_case", ignore_case=True)
compare("matches", ["[a-z]+$"], "ABC", True, "ignore_case: a class", ignore_case=True)
compare("matches", ["k"], "\u212a", True, "ignore_case: the Kelvin sign", ignore_case=True, second=False)
compare("matches", ["(?-i)a"], "A", False, "ignore_case turned off in the pattern", ignore_case=True, second=False)
compare("matches", ["a|^b"], "B", True, "ignore_case: all alternatives", ignore_case=True)
compare("matches", ["needle"], "x" * 60000 + "needle", True, "a text of 60,006 characters")
compare("matches", ["(a|aa|aaa)*c"], "a" * 3000, False, "a text that many threads go through", second=False)

# numbers
for op in ("eq", "gt", "gte", "lt", "lte"):
    wrong(op, [0], [("a numeric text", "0"), ("false", False), ("an array of texts", ["0", "1", "-1"]), ("an array in an array", [[0]]), ("an empty text", "")])
    for label, a, b in [("less", 1, 2), ("the same", 2, 2), ("more", 3, 2), ("a fraction less", 1.9999999, 2), ("minus", -5, 2), ("zeros with signs", -0.0, 0), ("zeros with signs, the other way", 0, -0.0), ("an integer and a float", 2.0, 2), ("large: one less", 9007199254740990, 9007199254740991), ("large: the same", 9007199254740991, 9007199254740991), ("huge", 1e300, 1e299), ("tiny", 5e-324, 0), ("tenths", 0.1, 0.10000000000000002)]:
        expected = {"eq": a == b, "gt": a > b, "gte": a >= b, "lt": a < b, "lte": a <= b}[op]
        compare(op, [b], a, expected, label)
compare("eq", [1, 2, 3], 3, True, "any of several values")
compare("eq", [1, 2, 3], 4, False, "none of several values")
compare("eq", [2], [1, 2], True, "any element of an array")
compare("eq", [2], ["2", None, 2], True, "elements of other types are passed over")
compare("eq", [0.3], 0.30000000000000004, False, "no rounding")
compare("gt", [10, 1], 5, True, "several values: more than any of them")
compare("gt", [10, 5], 5, False, "several values: more than none of them")
compare("gte", [10, 5], 5, True, "several values: the least of them")
compare("lt", [1, 10], 5, True, "several values: less than any of them")
compare("lt", [1, 5], 5, False, "several values: less than none of them")
compare("lte", [1, 5], 5, True, "several values: the greatest of them")
compare("gt", [5], [1, 9], True, "any element of an array")
compare("lt", [5], [6, 9], False, "no element of an array")

# times
for op in ("before", "after"):
    wrong(op, ["2030-01-01T00:00:00Z", "2010-01-01T00:00:00Z"], [("a number of seconds", 1577836800), ("a number of milliseconds", 1577836800000), ("true", True), ("a date without a time", "2020-01-01"), ("a time without an offset", "2020-01-01T00:00:00"), ("a blank for the T", "2020-01-01 00:00:00Z"), ("a blank before", " 2020-01-01T00:00:00Z"), ("a blank behind", "2020-01-01T00:00:00Z "), ("the 30th of February", "2020-02-30T00:00:00Z"), ("a leap day in a year without", "2019-02-29T00:00:00Z"), ("a leap day in 1900", "1900-02-29T00:00:00Z"), ("a 13th month", "2020-13-01T00:00:00Z"), ("a month zero", "2020-00-01T00:00:00Z"), ("a day zero", "2020-01-00T00:00:00Z"), ("hour 24", "2020-01-01T24:00:00Z"), ("minute 60", "2020-01-01T00:60:00Z"), ("second 61", "2020-12-31T23:59:61Z"), ("a leap second at noon", "2020-12-31T12:00:60Z"), ("a leap second in the middle of a month", "2020-12-30T23:59:60Z"), ("a leap second that is none in UTC", "2020-12-31T23:59:60+01:00"), ("a dot without digits", "2020-01-01T00:00:00.Z"), ("a comma for the dot", "2020-01-01T00:00:00,5Z"), ("an offset of 24 hours", "2020-01-01T00:00:00+24:00"), ("an offset of 60 minutes", "2020-01-01T00:00:00+01:60"), ("an offset without a colon", "2020-01-01T00:00:00+0100"), ("an offset without minutes", "2020-01-01T00:00:00+01"), ("five digits of a year", "12020-01-01T00:00:00Z"), ("two digits of a year", "20-01-01T00:00:00Z"), ("full-width digits", "２０２０-01-01T00:00:00Z"), ("an empty text", ""), ("RFC 2822", "Wed, 01 Jan 2020 00:00:00 GMT"), ("a minus that is none", "2020\u221201\u221201T00:00:00Z"), ("no seconds", "2020-01-01T00:00Z")])
TIMES = [  # the first is earlier
    ("a second", "2020-01-01T00:00:00Z", "2020-01-01T00:00:01Z"),
    ("a year", "2019-12-31T23:59:59Z", "2020-01-01T00:00:00Z"),
    ("a tenth", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00.1Z"),
    ("the 30th digit", "2020-01-01T00:00:00.000000000000000000000000000001Z", "2020-01-01T00:00:00.000000000000000000000000000002Z"),
    ("digits of different number", "2020-01-01T00:00:00.19Z", "2020-01-01T00:00:00.2Z"),
    ("a longer fraction", "2020-01-01T00:00:00.1Z", "2020-01-01T00:00:00.10000001Z"),
    ("an offset east", "2020-01-01T00:00:00+01:00", "2020-01-01T00:00:00Z"),
    ("an offset west", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00-00:01"),
    ("offsets that change the day", "2020-01-02T00:00:00+23:59", "2020-01-01T00:02:00Z"),
    ("before the leap second", "2016-12-31T23:59:59.999999999999Z", "2016-12-31T23:59:60Z"),
    ("behind the leap second", "2016-12-31T23:59:60.999999999999Z", "2017-01-01T00:00:00Z"),
    ("within the leap second", "2016-12-31T23:59:60.1Z", "2016-12-31T23:59:60.2Z"),
    ("the leap second elsewhere", "2016-12-31T15:59:59-08:00", "2016-12-31T15:59:60-08:00"),
    ("the leap second of June", "2015-06-30T23:59:59Z", "2015-07-01T08:59:60+09:00"),
    ("the first and the last year", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.9Z"),
    ("before the first year, in UTC", "0000-01-01T00:00:00+00:01", "0000-01-01T00:00:00Z"),
    ("after the last year, in UTC", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59"),
    ("around 1970", "1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z"),
    ("the leap day of 2000", "2000-02-28T23:59:59Z", "2000-02-29T00:00:00Z"),
    ("the leap day of 0000", "0000-02-29T12:00:00Z", "0000-03-01T00:00:00Z"),
]
for label, earlier, later in TIMES:
    compare("before", [later], earlier, True, f"{label}: earlier")
    compare("before", [earlier], later, False, f"{label}: later")
    compare("after", [earlier], later, True, f"{label}: later")
    compare("after", [later], earlier, False, f"{label}: earlier")
SAME = [
    ("zeros behind the fraction", "2020-01-01T00:00:00.5Z", "2020-01-01T00:00:00.50000Z"),
    ("a fraction of zeros", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00.000Z"),
    ("lower-case letters", "2020-01-01T00:00:00Z", "2020-01-01t00:00:00z"),
    ("an offset of zero", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00+00:00"),
    ("an unknown offset", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00-00:00"),
    ("half an hour east", "2020-01-01T00:00:00Z", "2020-01-01T05:30:00+05:30"),
    ("the leap second in two places", "2016-12-31T23:59:60.5Z", "2017-01-01T05:29:60.50+05:30"),
]
for label, a, b in SAME:
    for op in ("before", "after"):
        compare(op, [a], b, False, f"the same time: {label}")
compare("before", ["2010-01-01T00:00:00Z", "2030-01-01T00:00:00Z"], "2020-01-01T00:00:00Z", True, "several values: before any of them")
compare("after", ["2030-01-01T00:00:00Z", "2010-01-01T00:00:00Z"], "2020-01-01T00:00:00Z", True, "several values: after any of them")
compare("after", ["2030-01-01T00:00:00Z", "2025-01-01T00:00:00Z"], "2020-01-01T00:00:00Z", False, "several values: after none of them")
compare("before", ["2020-01-01T00:00:00Z"], ["soon", "2019-01-01T00:00:00Z"], True, "any element of an array")

# versions
for op in ("semver_eq", "semver_gt", "semver_gte", "semver_lt", "semver_lte"):
    wrong(op, ["1.0.0", "3.0.0", "2.0.0"], [("a number", 2), ("two numbers", "2.0"), ("four numbers", "2.0.0.0"), ("a v in front", "v2.0.0"), ("a zero in front", "02.0.0"), ("a zero in front in the pre-release", "2.0.0-01"), ("an empty pre-release", "2.0.0-"), ("an empty build", "2.0.0+"), ("an empty identifier", "2.0.0-a..b"), ("a blank in front", " 2.0.0"), ("an underscore", "2.0.0-a_b"), ("a letter that is not ASCII", "2.0.0-é"), ("two builds", "2.0.0+a+b"), ("a range", ">=2.0.0"), ("a wildcard", "2.x.0"), ("an empty text", ""), ("minus", "-2.0.0")])
ORDER = ["0.0.0-0", "0.0.0", "0.9.9", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0--", "1.0.0-0a", "1.0.0-A", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.0.10", "1.2.0", "1.10.0", "2.0.0", "2.1.0", "10.0.0", "9007199254740992.0.0", "9007199254740993.0.0", "99999999999999999999999999.0.0-9007199254740993", "99999999999999999999999999.0.0-9007199254740994"]
for lower, higher in zip(ORDER, ORDER[1:]):
    compare("semver_lt", [higher], lower, True, f"{lower} comes before {higher}")
    compare("semver_gt", [lower], higher, True, f"{higher} comes behind {lower}")
    compare("semver_gte", [higher], lower, False, f"{lower} does not reach {higher}")
    compare("semver_eq", [higher], lower, False, f"{lower} is not {higher}")
for op, expected in (("semver_eq", True), ("semver_gte", True), ("semver_lte", True), ("semver_gt", False), ("semver_lt", False)):
    compare(op, ["1.2.3"], "1.2.3", expected, "the same version")
    compare(op, ["1.2.3+a"], "1.2.3+b", expected, "builds do not count")
    compare(op, ["1.2.3-rc.1+001"], "1.2.3-rc.1", expected, "a build behind a pre-release does not count")
    compare(op, ["1.2.3-0-0"], "1.2.3-0-0+0-0.00", expected, "hyphens in a pre-release and zeros in a build")
compare("semver_eq", ["1.0.0", "2.0.0"], "2.0.0", True, "any of several values")
compare("semver_eq", ["1.0.0-RC"], "1.0.0-rc", False, "case counts")
compare("semver_gt", ["9.0.0", "1.0.0"], "2.0.0", True, "several values: above any of them")
compare("semver_lt", ["1.0.0", "9.0.0"], "2.0.0", True, "several values: below any of them")
compare("semver_gte", ["9.0.0", "2.0.0"], "2.0.0", True, "several values: the lowest of them")
compare("semver_lte", ["1.0.0", "2.0.0"], "2.0.0", True, "several values: the highest of them")
compare("semver_gte", ["2.0.0"], ["nightly", "2.1.0"], True, "any element of an array")
compare("semver_lt", ["1.0.0"], "1.0.0-rc.1", True, "a pre-release is below its version")
compare("semver_lt", ["1.0.0-a.b"], "1.0.0-a", True, "fewer identifiers come first")

# networks
wrong("in_cidr", ["0.0.0.0/0", "::/0"], [("a number", 167772161), ("true", True), ("a host name", "example.com"), ("an empty text", ""), ("a zero in front", "10.0.0.01"), ("three numbers", "10.0.1"), ("five numbers", "10.0.0.0.1"), ("a number above 255", "10.0.0.256"), ("a port", "10.0.0.1:80"), ("a blank in front", " 10.0.0.1"), ("a blank behind", "10.0.0.1 "), ("a network", "10.0.0.0/8"), ("hexadecimal", "0x0a.0.0.1"), ("a zone", "fe80::1%eth0"), ("brackets", "[::1]"), ("two gaps", "1::2::3"), ("three colons", ":::1"), ("nine groups", "1:2:3:4:5:6:7:8:9"), ("seven groups", "1:2:3:4:5:6:7"), ("a group of five digits", "::12345"), ("a letter beyond f", "::g"), ("a colon in front", ":1:2:3:4:5:6:7"), ("a colon behind", "1:2:3:4:5:6:7:"), ("eight groups and a gap", "1:2:3:4:5:6:7:8::"), ("IPv4 in the middle", "::1.2.3.4:5"), ("IPv4 of three numbers at the end", "::1.2.3"), ("IPv4 with a zero in front at the end", "::ffff:1.2.3.04"), ("seven groups and IPv4", "1:2:3:4:5:6:7:1.2.3.4"), ("only a colon", ":"), ("full-width digits", "１0.0.0.1"), ("an empty number", "10..0.1")])
CIDR = [
    ("10.0.0.0/8", "10.0.0.0", True, "the first address"),
    ("10.0.0.0/8", "10.255.255.255", True, "the last address"),
    ("10.0.0.0/8", "9.255.255.255", False, "the one before"),
    ("10.0.0.0/8", "11.0.0.0", False, "the one behind"),
    ("10.1.2.3/8", "10.200.0.1", True, "bits behind the prefix do not count"),
    ("192.0.2.7/32", "192.0.2.7", True, "a single address"),
    ("192.0.2.7/32", "192.0.2.8", False, "not a single address"),
    ("192.0.2.7/31", "192.0.2.6", True, "two addresses"),
    ("0.0.0.0/0", "255.255.255.255", True, "all of IPv4, the last"),
    ("0.0.0.0/0", "0.0.0.0", True, "all of IPv4, the first"),
    ("128.0.0.0/1", "127.255.255.255", False, "the lower half"),
    ("128.0.0.0/1", "200.0.0.1", True, "the upper half"),
    ("2001:db8::/32", "2001:db8::1", True, "IPv6"),
    ("2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", True, "IPv6, the last address"),
    ("2001:db8::/32", "2001:db9::", False, "IPv6, the one behind"),
    ("2001:db8::/32", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", False, "IPv6, the one before"),
    ("2001:DB8::/32", "2001:0dB8:0:0:0:0:0:A", True, "IPv6, capitals and zeros in front"),
    ("::1/128", "0:0:0:0:0:0:0:1", True, "IPv6, written out"),
    ("::1/128", "::", False, "IPv6, another single address"),
    ("::/128", "::", True, "IPv6, all zeros"),
    ("1:2:3:4:5:6:7:8/127", "1:2:3:4:5:6:7:9", True, "IPv6, two addresses"),
    ("1::8/128", "1:0::0:8", True, "IPv6, a gap between other zeros"),
    ("1:2:3:4:5:6:7::/112", "1:2:3:4:5:6:7::", True, "IPv6, a gap at the end"),
    ("::2:3:4:5:6:7:8/128", "0:2:3:4:5:6:7:8", True, "IPv6, a gap at the start"),
    ("fe80::/10", "febf::1", True, "IPv6, a prefix within a group"),
    ("fe80::/10", "fec0::1", False, "IPv6, beyond a prefix within a group"),
    ("2001:db8:0:0:8000::/65", "2001:db8::8000:0:0:1", True, "IPv6, a prefix of 65"),
    ("2001:db8:0:0:8000::/65", "2001:db8::7fff:0:0:1", False, "IPv6, below a prefix of 65"),
    ("::/0", "2001:db8::1", True, "all of IPv6"),
    ("::/0", "10.0.0.1", False, "all of IPv6 holds no IPv4"),
    ("0.0.0.0/0", "::1", False, "all of IPv4 holds no IPv6"),
    ("10.0.0.0/8", "::ffff:10.1.2.3", True, "mapped: an address in IPv4"),
    ("10.0.0.0/8", "::FFFF:0A01:0203", True, "mapped: in hexadecimal"),
    ("10.0.0.0/8", "0:0:0:0:0:ffff:10.1.2.3", True, "mapped: written out"),
    ("10.0.0.0/8", "::ffff:11.1.2.3", False, "mapped: another address"),
    ("::ffff:10.0.0.0/104", "10.1.2.3", True, "mapped: a network holds IPv4"),
    ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3", True, "mapped: both"),
    ("::ffff:a00:0/104", "10.1.2.3", True, "mapped: a network in hexadecimal"),
    ("::ffff:10.0.0.0/104", "11.0.0.1", False, "mapped: a network that ends"),
    ("::ffff:0:0/96", "203.0.113.9", True, "mapped: all of IPv4"),
    ("::ffff:192.0.2.1/128", "192.0.2.1", True, "mapped: a single address"),
    ("::ffff:0:0/95", "203.0.113.9", False, "mapped: a prefix below 96 is IPv6 and holds no IPv4"),
    ("::ffff:0:0/95", "::fffe:1:2", True, "mapped: a prefix below 96 holds IPv6"),
    ("::/0", "::ffff:10.0.0.1", False, "mapped: all of IPv6 does not hold it"),
    ("::/96", "::10.0.0.1", True, "compatible addresses are IPv6"),
    ("10.0.0.0/8", "::10.0.0.1", False, "and not IPv4"),
    ("64:ff9b::/96", "64:ff9b::192.0.2.33", True, "translated addresses are IPv6"),
    ("::ffff:0:0:0/96", "::ffff:0:10.0.0.1", True, "IPv4-translated is not mapped"),
]
for net, addr, expected, label in CIDR:
    compare("in_cidr", [net], addr, expected, label)
compare("in_cidr", ["10.0.0.0/8", "192.168.0.0/16", "2001:db8::/32"], "192.168.7.7", True, "any of several networks")
compare("in_cidr", ["10.0.0.0/8", "192.168.0.0/16", "2001:db8::/32"], "172.16.0.1", False, "none of several networks")
compare("in_cidr", ["10.0.0.0/9", "10.128.0.0/9"], "10.127.255.255", True, "two networks that touch, the first")
compare("in_cidr", ["10.0.0.0/9", "10.128.0.0/9"], "10.128.0.0", True, "two networks that touch, the second")
compare("in_cidr", ["10.0.0.0/8", "10.1.0.0/16"], "10.2.0.1", True, "a network in another, behind the inner one")
compare("in_cidr", ["10.1.0.0/16", "10.3.0.0/16", "10.5.0.0/16"], "10.4.0.1", False, "between networks")
compare("in_cidr", ["255.255.255.255/32", "0.0.0.0/32"], "255.255.255.255", True, "both ends, the last")
compare("in_cidr", ["255.255.255.255/32", "0.0.0.0/32"], "0.0.0.1", False, "both ends, nearly the first")
compare("in_cidr", ["10.0.0.0/8"], ["no", "10.0.0.1"], True, "any element of an array")
compare("in_cidr", ["2001:db8::/33", "2001:db8:8000::/33"], "2001:db8:8000::", True, "IPv6 networks that touch")

# exists
for label, value, expected in [("a text", "x", True), ("the empty text", "", True), ("zero", 0, True), ("false", False, True), ("true", True, True), ("an object", {"x": 1}, True), ("an empty object", {}, True), ("an array", ["x"], True), ("an array with an array", [[]], True), ("an array with an object", [{}], True), ("an array with null and more", [None, 0], True), ("an empty array", [], False), ("an array of null", [None, None], False), ("null", None, False), ("nothing", MISSING, False)]:
    when, context = compare("exists", None, value, expected, label)
    add("exists", f"negated: {label}", {**when, "negate": True}, context, not expected)


# attributes: which value is compared
def attribute(name, attribute_name, attributes, expected, values=("x",), user_id="u1"):
    add("attribute", name, {"attribute": attribute_name, "op": "equals", "values": list(values)}, {"user_id": user_id, "attributes": attributes}, expected)


attribute("a path with a dot", "a.b", {"a": {"b": "x"}}, True)
attribute("a longer path", "a.b.c.d", {"a": {"b": {"c": {"d": "x"}}}}, True)
attribute("the exact name comes first", "a.b", {"a.b": "x", "a": {"b": "y"}}, True)
attribute("the exact name comes first, though it is another value", "a.b", {"a.b": "y", "a": {"b": "x"}}, False)
attribute("the exact name comes first, though it is null", "a.b", {"a.b": None, "a": {"b": "x"}}, False)
attribute("no names with dots further down", "a.b.c", {"a": {"b.c": "x"}}, False)
attribute("nor at the start of a path", "a.b.c", {"a.b": {"c": "x"}}, False)
attribute("a path through null", "a.b", {"a": None}, False)
attribute("a path through a text", "a.length", {"a": "x"}, False, [True, "1"])
attribute("a path through an array", "a.0", {"a": ["x"]}, False)
attribute("a path through an array of objects", "a.b", {"a": [{"b": "x"}]}, False)
attribute("a path that ends too early", "a.b", {"a": {"c": "x"}}, False)
attribute("a path to an array", "a.b", {"a": {"b": ["y", "x"]}}, True)
attribute("names have case", "A", {"a": "x"}, False)
attribute("an empty step", "a..b", {"a": {"": {"b": "x"}}}, True)
attribute("a dot alone", ".", {"": {"": "x"}}, True)
attribute("a name with a blank", "a b", {"a b": "x"}, True)
attribute("a name that is not ASCII", "größe", {"größe": "x"}, True)
attribute("names are not normalised", "gr\u00f6\u00dfe", {"gro\u0308\u00dfe": "x"}, False)
attribute("user_id is an attribute", "user_id", {}, True, ["u1"])
attribute("user_id of the request wins", "user_id", {"user_id": "other"}, True, ["u1"])
attribute("user_id of the attributes does not count", "user_id", {"user_id": "other"}, False, ["other"])
attribute("user_id has nothing below", "user_id.x", {"user_id": {"x": "x"}}, False)
attribute("but a name with dots is a name", "user_id.x", {"user_id.x": "x"}, True)
attribute("user_id further down is any name", "a.user_id", {"a": {"user_id": "x"}}, True)
for name in ("__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "prototype", "__defineGetter__"):
    add("attribute", f"{name} does not exist by itself", {"attribute": name, "op": "exists"}, {"user_id": "u1", "attributes": {}}, False)
    attribute(f"{name} is a name like any other", name, {name: "x"}, True)
    add("attribute", f"{name} does not exist below an attribute", {"attribute": f"a.{name}", "op": "exists"}, {"user_id": "u1", "attributes": {"a": {}}}, False)
    attribute(f"{name} below an attribute", f"a.{name}", {"a": {name: "x"}}, True)
add("attribute", "constructor.name is nobody's", {"attribute": "constructor.name", "op": "exists"}, {"user_id": "u1", "attributes": {}}, False)
add("attribute", "nor is __proto__.toString", {"attribute": "a.__proto__.toString", "op": "exists"}, {"user_id": "u1", "attributes": {"a": {}}}, False)
add("attribute", "user_id exists", {"attribute": "user_id", "op": "exists"}, {"user_id": "u1", "attributes": {}}, True)
add("attribute", "user_id by other operators", {"attribute": "user_id", "op": "starts_with", "values": ["u"]}, {"user_id": "u1", "attributes": {}}, True)

# groups
X = {"attribute": "a", "op": "equals", "values": ["x"]}
Y = {"attribute": "b", "op": "equals", "values": ["y"]}


def group(name, when, attributes, expected):
    add("groups", name, when, {"user_id": "u1", "attributes": attributes}, expected)


BOTH, ONE, NONE = {"a": "x", "b": "y"}, {"a": "x", "b": "z"}, {}
group("all: both", {"all": [X, Y]}, BOTH, True)
group("all: one", {"all": [X, Y]}, ONE, False)
group("all: none", {"all": [X, Y]}, NONE, False)
group("any: both", {"any": [X, Y]}, BOTH, True)
group("any: one", {"any": [X, Y]}, ONE, True)
group("any: none", {"any": [X, Y]}, NONE, False)
group("an empty all is true", {"all": []}, NONE, True)
group("an empty all, negated", {"all": [], "negate": True}, NONE, False)
group("an empty all in an any", {"any": [X, {"all": []}]}, NONE, True)
group("an empty all in an all", {"all": [X, {"all": []}]}, NONE, False)
group("a negated all of one", {"all": [X], "negate": True}, ONE, False)
group("a negated all: one of two", {"all": [X, Y], "negate": True}, ONE, True)
group("a negated any: none", {"any": [X, Y], "negate": True}, NONE, True)
group("a negated any: one of two", {"any": [X, Y], "negate": True}, ONE, False)
group("a negated member", {"all": [X, {**Y, "negate": True}]}, ONE, True)
group("negated twice", {"all": [{**X, "negate": True}], "negate": True}, ONE, True)
group("negate that is false", {"all": [{**X, "negate": False}]}, ONE, True)
group("any within all", {"all": [X, {"any": [Y, {"attribute": "b", "op": "equals", "values": ["z"]}]}]}, ONE, True)
group("all within any", {"any": [{"all": [X, Y]}, {"all": [X]}]}, ONE, True)
group("all within any, none", {"any": [{"all": [X, Y]}, {"all": [Y]}]}, ONE, False)
deep = X
for level in range(15):
    deep = {"any" if level % 2 else "all": [deep]}
group("fifteen levels", deep, ONE, True)
flipped = X
for level in range(15):
    flipped = {"all": [flipped], "negate": True}
group("fifteen levels, each negated", flipped, ONE, False)
group("many members", {"all": [X] * 100}, ONE, True)
group("many members, the last one fails", {"all": [X] * 99 + [Y]}, ONE, False)

lines = ",\n".join("  " + json.dumps(case, ensure_ascii=True) for case in cases)
with open(os.path.join(os.path.dirname(__file__), "conditions.json"), "w", encoding="ascii") as file:
    file.write(f"[\n{lines}\n]\n")
counts = {}
for case in cases:
    counts[case["operator"]] = counts.get(case["operator"], 0) + 1
print(len(cases), counts)
