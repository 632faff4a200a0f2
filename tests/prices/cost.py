"""What a request costs, worked out again: by the words of the rules, in fractions, sharing nothing with the gateway."""

import json
from fractions import Fraction

IDENTITY = {"sample_spec", "date", "note"}
PROVIDERS = {"cohere_chat": "cohere", "vertex_ai": "vertex", "vertex_ai-language-models": "vertex"}
TEXT = {"chat", "completion", "responses", None}
MOST = 2**63 - 1
GRAIN = Fraction(1, 10**12)


def nearest(value, grain):
    """Half up."""
    return ((value / grain) + Fraction(1, 2)).__floor__()


def is_unknown(entry, key):
    """A 0 of who does not know better: beside a price that is none."""
    usual = {"input_cost_per_audio_token": "input_cost_per_token", "output_cost_per_audio_token": "output_cost_per_token",
             "output_cost_per_reasoning_token": "output_cost_per_token"}.get(key) or next((
                 k for k in ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost",
                             "cache_creation_input_token_cost") if key.startswith(k + "_")), None)
    return bool(usual and entry.get(usual))


def load(path):
    """{(provider, model): entry, model: entry} of a sheet in either form."""
    found = {}
    for key, entry in json.loads(path.read_text(), parse_float=Fraction, parse_int=Fraction).items():
        if key in IDENTITY or entry.get("mode") not in TEXT | {"embedding"}:
            continue
        head, _, tail = key.partition("/")
        said = entry.get("provider") or entry.get("litellm_provider")
        provider = PROVIDERS.get(said, said) or (PROVIDERS.get(head, head) if tail else "")
        model = tail if tail and PROVIDERS.get(head, head) == provider else key
        entry = {k: Fraction(nearest(v, GRAIN)) * GRAIN if isinstance(v, Fraction) else v for k, v in entry.items()}
        entry = {k: v for k, v in entry.items() if v != 0 or not is_unknown(entry, k)}
        found.setdefault((provider, model), entry)
        found.setdefault(key, entry)
    return found


def entry_of(sheet, provider, model):
    """However a client writes the name: in any letters, with its provider in front, with anything else in front."""
    model = model.lower()
    while model.startswith(provider + "/"):
        model = model[len(provider) + 1:]
    last = model.rpartition("/")[2]
    entry = next((sheet[k] for k in ((provider, model), (provider, last), last, model) if k in sheet), None)
    if entry is None:
        entry = next(e for k, e in sheet.items() if k[0] == provider and e.get("base_model") == model)
    if "input_cost_per_token" not in entry and "cost_per_request" not in entry:
        return entry_of(sheet, provider, entry["base_model"])
    return entry


def rate(entry, field, tier, total):
    """The rate of a token; None: the entry has no such rate."""
    if tier == "flex" and field + "_flex" in entry:
        return entry[field + "_flex"]
    if tier == "batch" and field + "_batches" in entry:
        return entry[field + "_batches"]
    for size in (272, 200, 128):
        if total > size * 1000:
            step = f"{field}_above_{size}k_tokens"
            if tier == "priority" and step + "_priority" in entry:
                return entry[step + "_priority"]
            if step in entry:
                return entry[step]
    if tier == "priority" and field + "_priority" in entry:
        return entry[field + "_priority"]
    return entry.get(field)


def cost_nusd(sheet, request):
    """Nano-dollars, rounded once."""
    if request.get("cost_nusd", 0) > 0:
        return request["cost_nusd"]
    entry = entry_of(sheet, request["provider"], request["model"])
    tier, prompt, completion = request.get("tier"), request["prompt"], request["completion"]

    def price(field, otherwise=0):
        value = rate(entry, field, tier, prompt + completion)
        return otherwise if value is None else value

    def apart(field, text):
        """Sound and thoughts; what only repeats the price of text goes with its tiers and steps."""
        value = entry.get(field)
        return price(text) if value is None or value == entry.get(text) else value

    read = min(request.get("cached", 0), prompt)
    written = min(request.get("written", 0), prompt - read)
    hour = min(request.get("written_1hr", 0), written)
    searches = entry.get("search_context_cost_per_query") or 0
    if isinstance(searches, dict):
        searches = Fraction(nearest(searches["search_context_size_medium"], GRAIN)) * GRAIN
    plain = price("input_cost_per_token")
    put = price("cache_creation_input_token_cost", plain)
    long = entry.get("cache_creation_input_token_cost_above_1hr", put)
    long = max(long, put) if long else long
    heard = min(request.get("heard", 0), prompt - read - written)
    spoken = min(request.get("spoken", 0), completion)
    thought = min(request.get("thought", 0), completion - spoken)
    said = price("output_cost_per_token")
    dollars = ((prompt - read - written - heard) * plain + heard * apart("input_cost_per_audio_token", "input_cost_per_token") + read * price("cache_read_input_token_cost", plain)
               + (written - hour) * put + hour * long
               + (completion - spoken - thought) * said + spoken * apart("output_cost_per_audio_token", "output_cost_per_token")
               + thought * apart("output_cost_per_reasoning_token", "output_cost_per_token") + request.get("searches", 0) * searches
               + entry.get("cost_per_request", 0))
    return min(nearest(dollars, Fraction(1, 10**9)), MOST)
