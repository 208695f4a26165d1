// The report's looks. Colours are variables: the figures' SVGs name them too. Paper is always white.
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --card: #f5f6f8; --text: #222222; --muted: #5b616a; --line: #d5d9df; --link: #0059a3;
  --train: #0072b2; --test: #d55e00; --validation: #007d5a; --mark: #b0307f; --good: #007d5a; --bad: #c62828; --faint: #8a8f96;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #14171c; --card: #1e232a; --text: #e8eaed; --muted: #a9b0ba; --line: #3a414c; --link: #8cc4ff;
    --train: #56b4e9; --test: #ff9a4d; --validation: #3ecf9f; --mark: #f08cc8; --good: #3ecf9f; --bad: #ff8a80; --faint: #868d97;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
.page { max-width: 1280px; margin: 0 auto; padding: 1rem clamp(.75rem, 3vw, 2rem) 4rem; }
header h1 { margin: .5rem 0 0; font-size: 1.7rem; line-height: 1.25; overflow-wrap: anywhere; }
header p { margin: .25rem 0 1rem; color: var(--muted); }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: .5rem 0; margin: 0; border-block: 1px solid var(--line); }
a { color: var(--link); }
nav a { display: inline-block; padding: .2rem 0; }
section { padding-top: 1.5rem; }
h2 { margin: 0 0 .75rem; font-size: 1.35rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
h3 { margin: 1.25rem 0 .5rem; font-size: 1.05rem; }
p { max-width: 75ch; margin: .5rem 0; overflow-wrap: anywhere; }
.note { color: var(--muted); font-size: .875rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(165px, 1fr)); gap: .75rem; margin: 1rem 0; padding: 0; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem; }
.tiles dt { color: var(--muted); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.2rem; font-weight: 600; overflow-wrap: anywhere; }
.findings { list-style: none; padding: 0; margin: 1rem 0; }
.findings li { border-left: 4px solid var(--faint); background: var(--card); padding: .5rem .8rem; margin: .5rem 0; border-radius: 0 8px 8px 0; }
.findings .finding-good { border-color: var(--good); }
.findings .finding-warning { border-color: var(--test); }
.findings p { margin: 0; max-width: none; }
.evidence { color: var(--muted); font-size: .9rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 0 2rem; align-items: start; }
.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); gap: 0 1.25rem; }
figure { margin: .75rem 0 1.25rem; min-width: 0; break-inside: avoid; }
figcaption { font-weight: 600; margin-bottom: .35rem; overflow-wrap: anywhere; }
.small figcaption { font-size: .9rem; }
figure svg { display: block; max-width: 100%; height: auto; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .35rem; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
tbody th { font-weight: 400; }
.words { text-align: left; }
thead th { border-bottom: 2px solid var(--line); }
dl.facts, .facts dl { margin: .75rem 0; }
.facts dl div { display: grid; grid-template-columns: minmax(8rem, 14rem) 1fr; gap: .25rem 1rem; padding: .15rem 0; border-bottom: 1px solid var(--line); }
.facts dt { color: var(--muted); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
summary { cursor: pointer; padding: .35rem 0; color: var(--link); }
pre { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .75rem; font-size: .8rem; line-height: 1.35; }
.strong { font-size: 1.1rem; font-weight: 600; }
@media print {
  body { font-size: 10pt; }
  .page { max-width: none; padding: 0; }
  nav { display: none; }
  h2, h3, figcaption, caption { break-after: avoid; }
  .scroll, pre { overflow: visible; }
  pre { white-space: pre-wrap; font-size: 7pt; }
  table { font-size: 8pt; }
  th, td { padding: .1rem .4rem; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
}
`;
