import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** `npm run format`: lays out the sources and applies the safe repairs. */
const root = join(import.meta.dirname, '..');
const biome = join(root, 'node_modules/.bin/biome');
const paths = process.argv.length > 2 ? process.argv.slice(2) : ['.'];
process.exitCode = spawnSync(biome, ['check', '--write', ...paths], { cwd: root, stdio: 'inherit' }).status ?? 1;
