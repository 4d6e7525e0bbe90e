"""Where a site's API lives: every form of address that CiviCRM's hosts use."""

import re

_API = "civicrm/ajax/api4"
_API_IN_URL = re.compile(r"civicrm(?:/|%2F)ajax(?:/|%2F)api4(?:(?:/|%2F)\w+){0,2}/?", re.IGNORECASE)
_QUERY_FORM = re.compile(r"[?&](q|task)=$")
_ROUTE = "{route}"


def url_templates(url: str) -> tuple[str, ...]:
    """The address with `{route}` in the place of the route, the likeliest form first.

    A full APIv4 endpoint is taken at its word. A base address may mean clean URLs, or, on
    WordPress, the `?civiwp=` form (civicrm: Address).
    """
    url = url.strip()
    found = _API_IN_URL.search(url)
    if found:
        return (f"{url[: found.start()]}{_ROUTE}{url[found.end() :]}",)
    if _QUERY_FORM.search(url):
        return (url + _ROUTE,)
    base, _, query = url.partition("?")
    base = re.sub(r"/civicrm$", "", base.rstrip("/"))
    if query:
        return (f"{base}/?{query.rstrip('&')}&q={_ROUTE}",)
    return (f"{base}/{_ROUTE}", f"{base}/?civiwp=CiviCRM&q={_ROUTE}")


def endpoint(template: str) -> str:
    """The APIv4 endpoint to put into the config for a template."""
    return template.replace(_ROUTE, _API)


def call_url(template: str, entity: str = "", action: str = "") -> str:
    """The address of one action, or without one of the call for several at once."""
    route = f"{_API}/{entity}/{action}" if entity else _API
    return template.replace(_ROUTE, route)


def whoami_url(template: str) -> str:
    """The address that tells who a credential belongs to."""
    return template.replace(_ROUTE, "civicrm/authx/id")
