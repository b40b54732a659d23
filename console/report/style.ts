/** The page's only style sheet. Colours are from Okabe and Ito's palette for colour-blind readers, tuned for contrast. */
export const styleSheet = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --raised: #f6f7f9; --line: #e2e5ea; --line-strong: #c5cad3;
  --text: #14171c; --soft: #59616e; --faint: #858d9a;
  --good: #007a5e; --good-page: #e7f5f0; --bad: #b93815; --bad-page: #fdeee9; --unsure: #7a5b00; --unsure-page: #fbf3dc;
  --site-a: #0b62a8; --site-b: #22a39a; --site-c: #a06bb5; --control: #8b93a1; --failed: #d0471b;
  --outage: #d0471b; --hatch: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101216; --raised: #181b21; --line: #292e37; --line-strong: #434a57;
    --text: #eceef2; --soft: #a4acb9; --faint: #767e8c;
    --good: #4cc9a4; --good-page: #11281f; --bad: #ff8a66; --bad-page: #331a12; --unsure: #e3bb55; --unsure-page: #2b240f;
    --site-a: #3c83d6; --site-b: #62d3c4; --site-c: #c39ad6; --control: #788191; --failed: #f2764d;
    --outage: #f2764d; --hatch: #101216;
  }
}
@media print {
  :root {
    color-scheme: light;
    --page: #ffffff; --raised: #f6f7f9; --line: #d8dce2; --line-strong: #b4bac4;
    --text: #000000; --soft: #454c57; --faint: #6b7380;
    --good: #00654e; --good-page: #ffffff; --bad: #a82f0f; --bad-page: #ffffff; --unsure: #6a4f00; --unsure-page: #ffffff;
    --site-a: #0b62a8; --site-b: #22a39a; --site-c: #a06bb5; --control: #8b93a1; --failed: #d0471b;
    --outage: #d0471b; --hatch: #ffffff;
  }
}
* { box-sizing: border-box; }
html { background: var(--page); -webkit-text-size-adjust: 100%; }
body {
  margin: 0; color: var(--text); background: var(--page);
  font: 400 16px/1.55 ui-sans-serif, system-ui, -apple-system, 'Segoe UI Variable Text', 'Segoe UI', Inter, Roboto,
    'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans', 'Helvetica Neue', Arial, sans-serif;
  font-variant-numeric: tabular-nums lining-nums;
}
main, .masthead, footer { max-width: 1104px; margin: 0 auto; padding: 0 32px; }
h1, h2, h3, p, ul, ol, dl, dd, figure { margin: 0; padding: 0; }
ul, ol { list-style: none; }
h2 { font-size: 26px; line-height: 1.25; font-weight: 650; letter-spacing: -0.017em; }
h3 { font-size: 15px; line-height: 1.4; font-weight: 650; margin: 36px 0 10px; }
section { margin-top: 84px; }
.lead { color: var(--soft); margin-top: 6px; max-width: 72ch; }
.soft { color: var(--soft); }
.mono { font: 400 13px/1.5 ui-monospace, SFMono-Regular, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; overflow-wrap: anywhere; }

.masthead { display: flex; justify-content: space-between; gap: 8px 24px; flex-wrap: wrap; padding-top: 26px; color: var(--soft); font-size: 14px; }
.masthead b { color: var(--text); font-weight: 650; letter-spacing: 0.01em; }

.verdict { margin-top: 64px; }
.kicker { color: var(--soft); font-size: 17px; }
h1 { display: flex; align-items: center; gap: 18px; margin-top: 10px; font-size: 68px; line-height: 1.05; font-weight: 680; letter-spacing: -0.035em; }
h1 svg { flex: none; width: 54px; height: 54px; }
.headline { margin-top: 22px; font-size: 25px; line-height: 1.42; letter-spacing: -0.011em; max-width: 36em; text-wrap: pretty; }
.good { color: var(--good); } .bad { color: var(--bad); } .unsure { color: var(--unsure); }
.mark { display: inline-block; width: 1em; height: 1em; vertical-align: -0.13em; margin-right: 0.4em; flex: none; }

.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 44px 48px; margin-top: 60px; }
.card { border-top: 2px solid var(--text); padding-top: 14px; }
.card .label { font-size: 15px; font-weight: 600; }
.card .of { color: var(--soft); font-weight: 400; margin-left: 0.3em; }
.card .value { font-size: 46px; line-height: 1.15; font-weight: 620; letter-spacing: -0.03em; margin-top: 10px; white-space: nowrap; }
.card .value small { font-size: 0.56em; font-weight: 560; letter-spacing: -0.01em; margin-left: 0.12em; }
.card .value.word { font-size: 34px; line-height: 1.56; letter-spacing: -0.022em; }
.gauge { position: relative; height: 6px; margin-top: 12px; border-radius: 3px; background: var(--line); overflow: hidden; }
.gauge i { position: absolute; inset: 0 auto 0 0; border-radius: 3px; background: currentColor; min-width: 4px; }
.gauge.over { overflow: visible; }
.gauge.over b { position: absolute; top: -4px; bottom: -4px; width: 2px; background: var(--text); }
.gauge.none { background: repeating-linear-gradient(135deg, var(--line) 0 4px, transparent 4px 8px); }
.card .judged { margin-top: 12px; font-size: 15px; color: var(--soft); }
.card .judged strong { font-weight: 650; color: inherit; }
.card .judged .good, .card .judged .bad, .card .judged .unsure { font-weight: 650; }

.picture { display: block; width: 100%; height: auto; min-width: 900px; }
.scroll { overflow-x: auto; margin-top: 22px; }
.picture text { font-size: 12.5px; fill: var(--text); }
.picture .tick, .picture .axis-name, .picture .cut-name { fill: var(--faint); font-size: 12px; }
.picture .lane { font-size: 13.5px; } .picture .strong { font-weight: 650; }
.picture .amount { fill: var(--soft); font-size: 12.5px; paint-order: stroke; stroke: var(--page); stroke-width: 3px; stroke-opacity: 0.75; stroke-linejoin: round; } .picture .amount.fault { fill: var(--bad); font-weight: 600; }
.picture .grid { stroke: var(--line); } .picture .base { stroke: var(--line-strong); }
.picture .flag { stroke: var(--line-strong); } .picture .flag.fault { stroke: var(--outage); }
.picture .flag-name { font-size: 12px; fill: var(--soft); font-weight: 550; } .picture .flag-name.fault { fill: var(--bad); }
.picture .outage { fill: var(--outage); opacity: 0.09; }
.picture .cut { fill: var(--raised); } .picture .cut-edge { stroke: var(--faint); stroke-dasharray: 2 4; fill: none; }
.picture .strip { fill: var(--soft); }
.site-a { fill: var(--site-a); background-color: var(--site-a); } .site-b { fill: var(--site-b); background-color: var(--site-b); }
.site-c { fill: var(--site-c); background-color: var(--site-c); } .control { fill: var(--control); background-color: var(--control); }
.failed, .none { fill: var(--failed); background-color: var(--failed); }
.gauge.none { background-color: transparent; }
.asking { fill: var(--hatch); stroke: var(--control); stroke-dasharray: 2 2; background-color: transparent; border: 1px dashed var(--control); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 22px; margin-top: 18px; font-size: 14px; color: var(--soft); }
.legend li { display: flex; align-items: center; }
.swatch { width: 11px; height: 11px; border-radius: 3px; margin-right: 8px; }

table { border-collapse: collapse; width: 100%; font-size: 15px; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: 13.5px; padding: 0 18px 7px 0; vertical-align: bottom; white-space: nowrap; }
td { padding: 8px 18px 8px 0; border-top: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child td { border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; white-space: nowrap; }
.nowrap { white-space: nowrap; }
tr.judged td { font-weight: 650; }
tr.absent td { color: var(--faint); }
td .note { display: block; color: var(--soft); font-weight: 400; font-size: 14px; margin-top: 2px; }
td .bad { font-weight: 600; } td .note.bad { color: var(--bad); font-weight: 500; }
table.fitted td:not(:last-child), table.fitted th:not(:last-child) { width: 1%; white-space: nowrap; padding-right: 32px; }
.evidence { color: var(--soft); font-size: 14px; overflow-wrap: anywhere; min-width: 15em; }
.evidence b { font-weight: 500; color: var(--text); }
.tag { display: inline-block; margin-left: 8px; padding: 0 7px; border-radius: 4px; background: var(--raised); color: var(--soft); font-size: 12.5px; font-weight: 550; line-height: 20px; vertical-align: 1px; white-space: nowrap; }
.pair { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 0 64px; align-items: start; }
.facts { display: flex; flex-wrap: wrap; gap: 4px 26px; color: var(--soft); margin-top: 8px; }
.checks li { display: flex; gap: 12px; padding: 9px 0; border-top: 1px solid var(--line); }
.checks li:last-child { border-bottom: 1px solid var(--line); }
.checks .mark { margin: 0.22em 0 0; width: 17px; height: 17px; }
.checks { margin-top: 22px; }
.banner { margin-top: 26px; padding: 14px 18px; border-radius: 8px; background: var(--bad-page); color: var(--bad); font-weight: 550; }
.banner.unsure { background: var(--unsure-page); color: var(--unsure); }
.keys { margin-top: 16px; max-height: 420px; overflow-y: auto; padding: 14px 18px; background: var(--raised); border-radius: 8px; }
.keys ol { columns: 2 330px; column-gap: 56px; }
.keys li { break-inside: avoid; display: flex; justify-content: space-between; gap: 12px; padding: 1px 0; }
.keys span { color: var(--soft); white-space: nowrap; }
footer { margin-top: 96px; padding-bottom: 56px; color: var(--soft); font-size: 14px; }
footer p { border-top: 1px solid var(--line); padding-top: 18px; }

@media (max-width: 720px) {
  body { font-size: 15px; }
  main, .masthead, footer { padding: 0 18px; }
  .verdict { margin-top: 40px; }
  h1 { font-size: 46px; gap: 12px; } h1 svg { width: 38px; height: 38px; }
  .headline { font-size: 20px; margin-top: 16px; }
  .cards { margin-top: 40px; gap: 30px 28px; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); }
  section { margin-top: 60px; }
  .pair { grid-template-columns: minmax(0, 1fr); }
  .clocks th:nth-child(4), .clocks td:nth-child(4) { display: none; } .clocks td, .clocks th { padding-right: 12px; }
  .scroll { margin-right: -18px; padding-right: 18px; }
  h2 { font-size: 22px; }
}
@media print {
  @page { margin: 14mm 13mm; }
  body { font-size: 10.5pt; }
  main, .masthead, footer { max-width: none; padding: 0; }
  section { margin-top: 30px; } .verdict { margin-top: 20px; }
  h1 { font-size: 40pt; } .headline { font-size: 15pt; }
  .cards { margin-top: 26px; grid-template-columns: repeat(3, 1fr); gap: 20px 28px; } .card .value { font-size: 26pt; }
  .scroll { overflow: visible; } .picture { min-width: 0; } table { font-size: 9.5pt; }
  .keys { max-height: none; overflow: visible; background: none; padding: 0; }
  .card, figure, tr, .checks li { break-inside: avoid; } h2, h3, .facts, .lead, thead { break-after: avoid; }
  .pair { gap: 0 36px; } td { padding-top: 4px; padding-bottom: 4px; } .clocks .note { display: none; } .keys { font-size: 7.5pt; }
  .bar, .swatch, .gauge, .gauge i, .outage, .banner { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
`;
