/**
 * Many simulated runs: `node test/storage/sim/nightly.ts --runs 100000 --from 1`. Ends with 1 if any of them found
 * something; `--trace` prints everything that happened in a run that did.
 */
import { parseArgs } from 'node:util';
import { complaintOf, type Kind, kinds } from './kinds.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100000' },
    from: { type: 'string', default: '1' },
    kind: { type: 'string' },
    size: { type: 'string', default: '4' },
    trace: { type: 'boolean', default: false },
  },
});

const names = Object.keys(kinds) as Kind[];
const chosen = values.kind === undefined ? names : names.filter((name) => name === values.kind);
if (chosen.length === 0) throw new Error(`there is no kind ${values.kind}; there are ${names.join(', ')}`);

const from = Number(values.from);
const runs = Number(values.runs);
const options = { size: Number(values.size), keepLines: values.trace };
const found: number[] = [];
let operations = 0;
for (let seed = from; seed < from + runs; seed++) {
  const kind = chosen[seed % chosen.length]!;
  const result = await kinds[kind](seed, options);
  operations += result.operations;
  if (result.violation !== undefined) {
    found.push(seed);
    console.error(complaintOf(kind, result));
    if (values.trace) console.error(result.lines.join('\n'));
  }
  const done = seed - from + 1;
  if (done % 1_000 === 0) console.log(`${done} runs, ${operations} operations, ${found.length} found something`);
}
console.log(`${runs} runs, ${operations} operations, ${found.length} found something: ${found.join(' ') || 'none'}`);
process.exitCode = found.length === 0 ? 0 : 1;
