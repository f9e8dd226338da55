/** The style sheet. The colours are Okabe and Ito's, which colour-blind readers can distinguish; lines differ in width too. */
export const STYLE = `
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --soft: #5d6670; --rule: #d9dee3; --panel: #f5f7f9;
  --measured: #6b7580; --recorded: #0072b2; --predicted: #d55e00; --refusal: #d55e00; --fault: #a3387a; --command: #6b7580;
  --heat: #0072b2; --strong: #fff; --middle: #1b1f24; --warn: #fff4d6; --warn-edge: #b58900; }
@media screen and (prefers-color-scheme: dark) { :root:not(.printing) { --page: #14171a; --ink: #e6e9ec; --soft: #9aa4ae; --rule: #2f363d; --panel: #1d2126;
  --measured: #a7b0b9; --recorded: #56b4e9; --predicted: #e69f00; --refusal: #e69f00; --fault: #e58fc4; --command: #a7b0b9;
  --heat: #56b4e9; --strong: #0b0d0f; --middle: #0b0d0f; --warn: #33290d; --warn-edge: #c9a227; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 20px 20px 60px; max-width: 1280px; background: var(--page); color: var(--ink);
  font: 14px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 22px; margin: 0 0 12px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 34px 0 8px; }
h3 { font-size: 14px; margin: 18px 0 6px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.cards { display: flex; flex-wrap: wrap; gap: 10px; margin: 16px 0 0; padding: 0; list-style: none; }
.cards li { background: var(--panel); border: 1px solid var(--rule); border-radius: 6px; padding: 8px 14px; min-width: 110px; }
.cards b { display: block; font-size: 19px; font-variant-numeric: tabular-nums; }
.cards span { color: var(--soft); font-size: 12.5px; }
.banner { background: var(--warn); border-left: 4px solid var(--warn-edge); margin: 12px 0; padding: 8px 12px; }
.note { color: var(--soft); max-width: 90ch; }
#time { position: relative; touch-action: pan-y; user-select: none; }
.toolbar { position: sticky; top: 0; z-index: 2; background: var(--page); border-bottom: 1px solid var(--rule); padding-top: 6px; }
.toolbar p { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; margin: 0 0 6px; }
#range { font-variant-numeric: tabular-nums; min-width: 12em; }
.hint { color: var(--soft); }
button { font: inherit; color: inherit; background: var(--panel); border: 1px solid var(--rule); border-radius: 5px; padding: 2px 10px; }
button:hover { border-color: var(--soft); }
figure { margin: 8px 0 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 10px; font-size: 13px; }
figcaption span { color: var(--soft); }
.u-legend { margin: 0 0 0 auto; font-size: 13px; font-variant-numeric: tabular-nums; }
.u-legend .u-series > * { border: 0; padding: 0 2px; }
.u-legend th { color: var(--soft); font-weight: normal; }
.u-legend .u-marker { height: 4px; }
.u-over svg { display: block; pointer-events: none; width: 100%; height: 100%; }
.u-hz .u-cursor-x { border-right: 1px solid var(--soft); }
.u-select { background: var(--recorded); opacity: 0.15; }
.highlight { fill: none; stroke: var(--predicted); stroke-width: 3; vector-effect: non-scaling-stroke; }
#events figure { margin-top: 4px; }
.tip { position: fixed; z-index: 3; max-width: min(420px, 90%); background: var(--panel); border: 1px solid var(--soft);
  border-radius: 5px; padding: 6px 10px; pointer-events: none; font-size: 13px; overflow-wrap: anywhere; white-space: pre-line; }
.tip img { display: block; max-width: 100%; }
[hidden] { display: none; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); gap: 10px 30px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; }
th, td { text-align: left; padding: 3px 12px 3px 0; border-bottom: 1px solid var(--rule); font-weight: normal; vertical-align: top; }
thead th { color: var(--soft); }
th { white-space: nowrap; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.sentence { min-width: 240px; overflow-wrap: anywhere; }
.total { background: var(--panel); }
.heat td, .heat th { padding: 3px 5px; border-bottom: 0; }
.cell { min-width: 14px; height: 22px; background: color-mix(in srgb, var(--heat) var(--level), var(--panel)); }
.strong { color: var(--strong); }
.middle { color: var(--middle); }
.scale { color: var(--soft); font-size: 12.5px; margin: 4px 0 12px; }
.scale span { display: inline-block; width: 140px; height: 10px; margin: 0 6px; background: linear-gradient(to right, var(--panel), var(--heat)); }
@media (max-width: 600px) { body { padding: 12px 10px 40px; } .hint, #joints .u-series:first-child { display: none; } dl { grid-template-columns: 1fr; } dt { margin-top: 4px; } }
.printing body { width: 700px; padding: 0; }
@media print { body { max-width: none; padding: 0; font-size: 12px; } button, .hint, .tip, .u-over, .u-value, .u-series:first-child, .histogram .u-legend { display: none; } .toolbar { position: static; }
  .scroll { overflow: visible; } table { font-size: 10.5px; } .heat { font-size: 8.5px; } .heat td, .heat th { padding: 2px; } .cell { min-width: 8px; height: 16px; }
  figure, tr, .cards li { break-inside: avoid; } .u-inline.u-live th::after { content: none; } h2, h3, .note { break-after: avoid; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
`;
