import { createStandardOutput } from '../sinks/standard-output.ts';
import { createRecords, ownTurn } from './audit-kit.ts';

/** Delivers far more to its standard output than a pipe holds, and says on standard error how it lives meanwhile. */
const sink = createStandardOutput({ output: process.stdout });
const records = createRecords();
let lives = 0;
const beat = setInterval(() => {
  lives += 1;
  process.stderr.write(`${lives} `);
}, 5);
for (let batch = 0; batch < 20; batch += 1) await sink.deliver(records(100), ownTurn());
clearInterval(beat);
