import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { riskyKind } from './risky-environment.ts';

describe('variables that change what a program runs', () => {
  for (const [name, kind] of [
    ['LD_PRELOAD', 'loader'],
    ['LD_AUDIT', 'loader'],
    ['GCONV_PATH', 'loader'],
    ['PYTHONPATH', 'interpreter'],
    ['PERL5LIB', 'interpreter'],
    ['PERL5OPT', 'interpreter'],
    ['NODE_OPTIONS', 'interpreter'],
    ['RUBYOPT', 'interpreter'],
    ['JAVA_TOOL_OPTIONS', 'interpreter'],
    ['GIT_SSH_COMMAND', 'interpreter'],
    ['EDITOR', 'editor'],
    ['VISUAL', 'editor'],
    ['SUDO_EDITOR', 'editor'],
    ['PAGER', 'pager'],
    ['LESSOPEN', 'pager'],
    ['PATH', 'path'],
    ['HOME', 'path'],
    ['BASH_ENV', 'shell'],
    ['BASH_FUNC_ls%%', 'shell'],
  ] as const) {
    it(`${name}: ${kind}`, () => assert.equal(riskyKind(name), kind));
  }

  it('what programs read as data is not', () => {
    for (const name of ['LANG', 'LC_ALL', 'TZ', 'TERM', 'DEBIAN_FRONTEND', 'NO_COLOR', 'PATHS', 'XLD_PRELOAD', ''])
      assert.equal(riskyKind(name), null, name);
  });
});
