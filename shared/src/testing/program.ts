import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bashCompletions } from '../command-line/bash-completions.ts';
import { commandsOf, type Program } from '../command-line/command.ts';
import { manPage } from '../command-line/man-page.ts';
import { referenceChapter } from '../command-line/reference-page.ts';
import { resolve } from '../command-line/resolve.ts';
import { overview } from '../command-line/usage.ts';

/** What holds for every command of a program, whatever it does. */
export function describeProgram<Context>(program: Program<Context>): void {
  const named = commandsOf(program);
  const told = (argv: readonly string[]): string => {
    const asked = resolve(program, argv);
    assert.equal(asked.kind, 'told', argv.join(' '));
    return asked.kind === 'told' ? asked.text : '';
  };

  describe(`the commands of ${program.name}`, () => {
    it('names mean one thing each, and nothing that bash or troff would read', () => {
      const names = program.commands.flatMap((entry) => [
        entry.name,
        ...('commands' in entry ? [] : (entry.aliases ?? [])),
      ]);
      const reserved = ['help', 'version'];
      assert.deepEqual([...new Set([...names, ...reserved])], [...names, ...reserved]);
      for (const { words, command } of named) {
        for (const name of [...words, ...Object.keys(command.options ?? {}), ...(command.aliases ?? [])])
          assert.match(name, /^[a-z][a-z0-9-]*$/);
        assert.ok(!('help' in (command.options ?? {})), `${words.join(' ')} redefines --help`);
      }
    });

    it('an operand that is needed stands before one that is not', () => {
      for (const { words, command } of named) {
        const operands = Object.values(command.operands ?? {}).map(({ optional }) => optional === true);
        assert.deepEqual(operands, operands.toSorted(), words.join(' '));
        assert.ok(command.rest === undefined || operands.length === 0, `${words.join(' ')} never gets its operands`);
      }
    });

    it('--help tells which there are', () => {
      assert.equal(told(['--help']), overview(program));
      assert.equal(told(['help']), overview(program));
    });

    for (const { words, command } of named) {
      const name = [program.name, ...words].join(' ');
      it(`${name}: help, completions and reference tell of it`, () => {
        const help = told([...words, '--help']);
        assert.equal(told(['help', ...words]), help);
        assert.match(command.help, /^[a-z].{7,109}(?<!\.)$/);
        const [completions, page, man] = [
          bashCompletions(program),
          referenceChapter(program).join('\n'),
          manPage(program).replaceAll('\\-', '-'),
        ];
        assert.ok(overview(program).includes(`  ${name}`));
        assert.ok(completions.includes(`'${words.join(' ')}'`));
        assert.ok(page.includes(`### ${name}\n`));
        assert.ok(man.includes(`.B ${name}`));
        for (const option of Object.keys(command.options ?? {}))
          for (const text of [overview(program), help, completions, page, man])
            assert.ok(text.includes(`--${option}`), option);
      });

      it(`${name}: refuses what it does not have`, () => {
        const asked = resolve(program, [...words, '--no-such-option']);
        assert.equal(asked.kind, 'refused');
      });
    }
  });
}
