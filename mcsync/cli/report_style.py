"""How the report's page looks. Colours are never all that tells something."""

_LIGHT = """
--paper: #fff; --back: #f4f5f7; --ink: #1c2430; --faint: #566070; --line: #d8dde4;
--link: #0b57a4; --good: #12693d; --good-back: #e0f3e7; --fair: #7a4d00; --fair-back: #fdf0d5;
--bad: #9b1c1c; --bad-back: #fde6e4;
--subscribed: #2a78b8; --asked: #7fb2dd; --waiting: #d9a21b; --cannot_be_mailed: #8a93a1;
--failed: #c0392b; --other: #c6ccd5; --added: #2a78b8; --removed: #d2691e;
"""
_DARK = """
--paper: #1b2028; --back: #12161c; --ink: #e4e8ee; --faint: #a2acba; --line: #343c48;
--link: #8cc4f5; --good: #7fdca6; --good-back: #15351f; --fair: #f3c969; --fair-back: #3a2d0c;
--bad: #ff9d94; --bad-back: #43191a;
--subscribed: #4d9fdf; --asked: #2f5f88; --waiting: #d9a83a; --cannot_be_mailed: #7c8694;
--failed: #e0695c; --other: #4a5362; --added: #4d9fdf; --removed: #ec8f4c;
"""
_FILLS = "\n".join(
    f".{name} {{ fill: var(--{name}); background: var(--{name}); }}"
    for name in (
        *("subscribed", "asked", "waiting", "cannot_be_mailed", "failed", "other"),
        *("added", "removed"),
    )
)
STYLE = f"""
:root {{ color-scheme: light; {_LIGHT} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {_DARK} }} }}
* {{ box-sizing: border-box; }}
html {{ -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }}
body {{
  margin: 0 auto; padding: 1rem; max-width: 62rem; background: var(--back); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
}}
h1 {{ font-size: 1.5rem; margin: 0; }}
h2 {{ font-size: 1.3rem; margin: 0; overflow-wrap: anywhere; }}
h2 small {{ color: var(--faint); font-size: .85rem; font-weight: normal; }}
h3 {{ font-size: 1rem; margin: 0 0 .4rem; }}
p {{ margin: .3rem 0 .7rem; }}
a {{ color: var(--link); }}
header p, footer, .calm, figcaption {{ color: var(--faint); }}
footer {{ font-size: .85rem; }}
section {{
  margin: 1rem 0; padding: 1rem 1.1rem; background: var(--paper);
  border: 1px solid var(--line); border-radius: .5rem;
}}
code {{
  font: .85em/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  overflow-wrap: anywhere;
}}
th code {{ color: var(--faint); }}
.needs {{
  margin: .6rem 0 1rem; padding: .7rem 1rem; background: var(--bad-back);
  border-left: .3rem solid var(--bad); border-radius: .3rem;
}}
.needs h3 {{ color: var(--bad); }}
.needs ul {{ margin: 0; padding-left: 1.1rem; }}
.needs li + li {{ margin-top: .4rem; }}
.needs code {{ display: block; overflow-wrap: normal; white-space: nowrap; overflow-x: auto; }}
.badge {{
  display: inline-block; padding: 0 .6rem; border-radius: 1rem; font-weight: 600;
  white-space: nowrap; border: 1px solid currentColor;
}}
.good {{ color: var(--good); background: var(--good-back); }}
.fair {{ color: var(--fair); background: var(--fair-back); }}
.bad {{ color: var(--bad); background: var(--bad-back); }}
.parts {{ display: grid; gap: 1.3rem 2rem; grid-template-columns: 1fr 1fr; align-items: start; }}
.parts + * {{ margin-top: 1.3rem; }}
.parts > * {{ min-width: 0; }}
.wide {{ grid-column: 1 / -1; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top; }}
th:last-child, td:last-child {{ padding-right: 0; }}
tbody th {{ font-weight: normal; }}
.days tbody th {{ white-space: nowrap; }}
thead th {{ color: var(--faint); font-size: .85rem; font-weight: normal; }}
tbody tr, tfoot tr {{ border-top: 1px solid var(--line); }}
tfoot th, tfoot td {{ font-weight: 600; }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
thead .number {{ white-space: normal; }}
svg {{ display: block; width: 100%; height: auto; }}
svg text {{ font-size: 11px; fill: var(--faint); }}
.axis {{ stroke: var(--faint); stroke-width: 1; }}
.whole {{ height: .8rem; margin: .3rem 0 .4rem; border-radius: .2rem; background: var(--line); }}
.key {{ display: inline-block; width: .75rem; height: .75rem; border-radius: .15rem; }}
{_FILLS}
.figures {{ display: grid; gap: 1rem 2rem; grid-template-columns: 1fr 1fr; }}
figure {{ margin: 0; min-width: 0; }}
summary {{ color: var(--link); cursor: pointer; padding: .4rem 0; }}
@media screen and (max-width: 44rem) {{
  body {{ padding: .6rem; }}
  section {{ padding: .8rem; }}
  th, td {{ padding-right: .4rem; }}
  thead th {{ font-size: .78rem; }}
  .days {{ font-size: .9rem; }}
  .parts, .figures {{ grid-template-columns: minmax(0, 1fr); }}
}}
@media print {{
  body {{ max-width: none; padding: 0; background: none; font-size: 10pt; }}
  section {{ border: 0; border-top: 1px solid var(--line); border-radius: 0; padding: .6rem 0; }}
  .parts > :not(.wide), figure, tr, .needs {{ break-inside: avoid; }}
  details:not([open]) {{ display: none; }}
  h2, h3, summary {{ break-after: avoid; }}
  .scroll {{ overflow: visible; }}
  .needs code {{ white-space: pre-wrap; }}
  a {{ color: inherit; text-decoration: none; }}
  .key, .badge, .needs, svg {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
}}
"""
