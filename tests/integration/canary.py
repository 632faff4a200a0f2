"""Secrets that nobody may find again: what tests give to gateways or get from them once, and the search for it in all that a
gateway leaves behind, as it is, in base64, hexadecimal, escaped for URLs and for JSON."""

import base64
import json
import random
import re
import string
from urllib.parse import quote, quote_plus, urlsplit

# Shorter ones are found by chance.
SHORTEST = 9
# Members of the configuration whose text is secret, and those of which every member is.
SECRET_MEMBERS = {"value", "encryption_key", "admin_password", "password"}
SECRET_MAPS = {"extra_headers"}
# What is asked of an API that makes secrets: its answers show them, this once.
MAKERS = re.compile(r"/api/(governance/virtual-keys|api-keys)(/rotate|/[^/]+/rotate)?$")
STEM = 6  # so many bytes tell whether it is worth to look closer


def made_up(name, length=24):
    """A secret that stands nowhere by chance, and that every form of writing changes."""
    letters = "".join(random.SystemRandom().choice(string.ascii_letters + string.digits) for _ in range(length))
    return f'{name}/+"{letters}\\%'


def _base64_forms(raw):
    """As it stands within a longer text in base64, wherever in it it begins; of both alphabets."""
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + raw)
        first = (shift * 8 + 5) // 6
        yield from ({part, part.translate(bytes.maketrans(b"+/", b"-_"))}
                    for part in [whole[first:(shift + len(raw)) * 8 // 6]])


def forms(raw):
    """{bytes as written: how}"""
    text = raw.decode("latin-1")
    found = {form: "in base64" for both in _base64_forms(raw) for form in both}
    with_slash = json.dumps(text)[1:-1]
    found |= {raw.hex().encode(): "in hexadecimal", raw.hex().upper().encode(): "in hexadecimal",
              quote(raw, safe="").encode(): "escaped for URLs", quote_plus(raw).encode(): "escaped for URLs",
              quote(raw).encode(): "escaped for URLs", with_slash.encode(): "escaped for JSON",
              with_slash.replace("/", "\\/").encode(): "escaped for JSON", raw: "as it is"}
    return found


class Canaries:
    """The secrets of one gateway."""

    def __init__(self):
        self.names = {}  # secret: what it is
        self.public = ""
        self.patterns = {}  # stem: {form: (secret, how)}

    def add(self, value, name):
        """False: too short, or no secret because it stands among names."""
        raw = value.encode() if isinstance(value, str) else bytes(value)
        if len(raw) < SHORTEST or raw in self.names or value in self.public:
            return False
        self.names[raw] = name
        for form, how in forms(raw).items():
            self.patterns.setdefault(form[:STEM], {})[form] = (raw, how)
        return True

    def aloud(self, value):
        """A secret that the test itself names where it is seen, as in a model that tells a mock which keys it refuses."""
        raw = value.encode()
        self.names.pop(raw, None)
        self.patterns = {stem: {form: found for form, found in known.items() if found[0] != raw}
                         for stem, known in self.patterns.items()}

    def forget(self, value):
        """Of a test that tells it itself."""
        raw = value.encode()
        self.names.pop(raw, None)
        for known in self.patterns.values():
            for form in [form for form, (secret, _) in known.items() if secret == raw]:
                del known[form]

    def add_config(self, config, env):
        """Those of a configuration; env.NAME stands for a variable."""
        found, public = [], []
        _walk(config, "", found, public)
        # A test whose names are its secrets has none that could be looked for.
        self.public = "\0".join(public)
        for value, name in found:
            value = env.get(value[4:], "") if value.startswith("env.") else value
            if not value.startswith("file."):
                self.add(value, name)

    def add_request(self, path, body):
        """Those that a client gives to the API."""
        found = []
        if path.startswith("/api/") and isinstance(body, (dict, list)):
            _walk(body, "a request", found, [])
        for value, name in found:
            self.add(value, name)

    def add_answer(self, method, path, headers, body):
        """Keeps what an answer shows for once; returns the answer without it, for the search."""
        kept = dict(headers)
        for name, value in headers.items():
            if name.lower() == "set-cookie":
                self.add(value.split(";")[0].partition("=")[2], "a session")
                kept[name] = ""
        if method in ("POST", "PUT") and MAKERS.match(path.partition("?")[0]) and isinstance(body, dict):
            body = json.loads(json.dumps(body))
            for entity in [body.get("virtual_key"), body.get("api_key"), *body.get("virtual_keys", [])]:
                if isinstance(entity, dict) and isinstance(entity.get("value"), str):
                    self.add(entity.pop("value"), f"the value of {entity.get('name')}")
        return kept, body

    def hits(self, place, data):
        """One line for each secret that stands there."""
        found = {}
        for stem, known in self.patterns.items():
            lengths = {len(form) for form in known}
            at = data.find(stem)
            while at >= 0:
                for length in lengths:
                    hit = known.get(bytes(data[at:at + length]))
                    if hit:
                        found.setdefault(hit, at)
                at = data.find(stem, at + 1)
        return [f"{self.names[raw]} is in {place}, {how}, at {at}: ..{bytes(data[max(at - 60, 0):at + 60])!r}.."
                for (raw, how), at in found.items()]


def _walk(value, name, found, public):
    if isinstance(value, dict):
        for key, part in value.items():
            secret = name in SECRET_MAPS or key in SECRET_MEMBERS
            if secret and isinstance(part, str):
                found.append((part, f"{key} of {value.get('name', name)}"))
            else:
                public.append(str(key))
                _walk(part, key, found, public)
    elif isinstance(value, list):
        for part in value:
            _walk(part, name, found, public)
    elif isinstance(value, str):
        word = urlsplit(value).password if "://" in value else None
        found.extend([(word, f"the password in {name}")] if word else [])
        public.append(value.replace(word, "") if word else value)
