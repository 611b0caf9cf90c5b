import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pluginsOf } from './sudo-conf.ts';

describe('plugins of sudo.conf', () => {
  const ours = { symbol: 'identree_audit', path: '/a.so', options: [] as string[] };
  const read: Record<string, [text: string, plugins: (typeof ours)[]]> = {
    'a line, whatever blanks and capitals': [' \tPLUGIN\tidentree_audit  /a.so \r\n', [ours]],
    'with options': ['Plugin identree_audit /a.so x=1 y', [{ ...ours, options: ['x=1', 'y'] }]],
    'a comment, and what follows one': ['#Plugin identree_audit /a.so\nPlugin identree_audit /a.so#b c', [ours]],
    'a line that goes on': ['Plugin \\\n   identree_audit \\\n\t/a.so\n', [ours]],
    'words that a line joins': ['Plugin identree_\\\naudit /a\\\n.so', [ours]],
    'a comment does not go on': ['# off \\\nPlugin identree_audit /a.so\n', [ours]],
    'two backslashes are no end that goes on': [
      'Plugin x /b.so \\\\\nPlugin identree_audit /a.so',
      [{ symbol: 'x', path: '/b.so', options: ['\\\\'] }, ours],
    ],
    'a file that ends within a line': ['Plugin identree_audit /a.so \\', [ours]],
    'no path, another word, nothing': ['Plugin identree_audit\nPlugins identree_audit /a.so\nPath plugin /x\n\n', []],
  };
  for (const [name, [text, plugins]] of Object.entries(read))
    it(name, () => assert.deepEqual(pluginsOf(text), plugins));
});
