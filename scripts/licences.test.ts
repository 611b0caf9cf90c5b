import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findProjects, readImportGraph } from './import-graph.ts';
import { builtInto, copyrightOf, nodeLicence } from './licences.ts';

const root = `${import.meta.dirname}/..`;

describe('what packages say of the rights in what is built in', () => {
  const graph = readImportGraph(root, findProjects(root));
  const names = (entry: string) => builtInto([entry], graph).map(({ name }) => name);

  it('names what is imported, and what that needs in turn', () => {
    const agent = names('agent/src/main.ts');
    for (const name of ['zod', 'age-encryption', '@noble/curves', 'bcryptjs', 'qrcode'])
      assert.ok(agent.includes(name), name);
    const desktop = names('apps/desktop/src/main/main.ts');
    assert.ok(desktop.includes('dbus-native'));
    assert.ok(names('apps/console/src/main.tsx').includes('react-dom'));
    // Tools that build and test are in nothing, and Electron brings its own.
    for (const name of ['typescript', 'electron', 'vite']) assert.ok(![...agent, ...desktop].includes(name), name);
  });

  it('every one of them says its licence', () => {
    const all = builtInto(['agent/src/main.ts', 'apps/desktop/src/main/main.ts', 'apps/console/src/main.tsx'], graph);
    assert.deepEqual(
      all.filter(({ licence }) => licence === 'unknown').map(({ name }) => name),
      [],
    );
  });

  it('holds our licence first, then the texts of the others', () => {
    const text = copyrightOf(['agent/src/main.ts'], { 'Node.js': nodeLicence() });
    assert.match(text, /^MIT License/);
    assert.match(text, /This package holds Node\.js\n\nNode\.js is licensed for use as follows/);
    assert.match(text, /This package holds zod \d\S* \(MIT\)\n\nMIT License/);
  });
});
