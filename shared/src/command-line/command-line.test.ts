import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { describeProgram } from '../testing/program.ts';
import { bashCompletions } from './bash-completions.ts';
import type { Command, Program } from './command.ts';
import { completionsCommand } from './completions-command.ts';
import { manPage } from './man-page.ts';
import { parse } from './parse.ts';
import { resolve } from './resolve.ts';

const declare = <const O extends Command<null>['options'], const P extends Command<null>['operands']>(
  command: Omit<Command<null, NonNullable<O>, NonNullable<P>>, 'run'>,
): Command<null> => ({ ...command, run: async () => 0 }) as Command<null>;

const common = { state: { value: 'DIR', help: 'where it is', default: '/var/lib/doors' } } as const;
const list = declare({
  name: 'list',
  help: 'all doors there are',
  options: {
    ...common,
    json: { help: 'for programs' },
    sort: { value: 'KEY', help: 'order', choices: ['age', 'name'] },
  },
});
const open = declare({
  name: 'open',
  aliases: ['unlock'],
  help: 'open one door for a while',
  options: { 'key-file': { value: 'FILE', help: 'where the key is' } },
  operands: { door: {}, minutes: { optional: true } },
});
const behind = declare({
  name: 'behind',
  help: 'do something behind a door',
  options: { door: { value: 'NAME', help: 'which one' } },
  rest: 'COMMAND [ARGUMENT...]',
});
const PROGRAM: Program<null> = {
  name: 'doors',
  version: '1.2.3',
  title: 'opens doors - and .shuts them',
  configuration: '.doors says where the doors are.',
  common,
  exits: { 0: 'done', 1: 'failed' },
  commands: [
    { name: 'all', help: 'several doors', commands: [list] },
    open,
    behind,
    completionsCommand(() => undefined),
  ],
};

describeProgram(PROGRAM);

function problem(command: Command<null>, ...args: string[]): string {
  const parsed = parse(command, args);
  assert.equal(parsed.kind, 'refused', JSON.stringify(parsed));
  return parsed.kind === 'refused' ? parsed.problem : '';
}

function given(command: Command<null>, ...args: string[]) {
  const parsed = parse(command, args);
  assert.equal(parsed.kind, 'given', JSON.stringify(parsed));
  return parsed.kind === 'given' ? parsed.given : null;
}

describe('what is given to a command', () => {
  it('flags, values, defaults and operands, in any order', () => {
    assert.deepEqual(given(list), {
      options: { state: '/var/lib/doors', json: false, sort: null },
      operands: {},
      rest: [],
    });
    assert.deepEqual(given(list, '--sort=age', '--json', '--state', '/x')?.options, {
      state: '/x',
      json: true,
      sort: 'age',
    });
    assert.deepEqual(given(open, 'front', '--key-file', 'k'), {
      options: { 'key-file': 'k' },
      operands: { door: 'front', minutes: null },
      rest: [],
    });
    assert.deepEqual(given(open, '--', '--front', '5')?.operands, { door: '--front', minutes: '5' });
  });

  it('an option that is not there is refused, with the name that was probably meant', () => {
    assert.equal(problem(list, '--jsn'), 'there is no --jsn. Did you mean --json?');
    assert.equal(problem(list, '--completely-different'), 'there is no --completely-different');
    assert.equal(problem(list, '-j'), 'there is no -j');
    assert.equal(problem(list, '--no-json'), 'there is no --no-json');
    for (const name of ['constructor', '__proto__', 'toString'])
      assert.match(problem(list, `--${name}`), /there is no/);
  });

  it('an option that is given twice is refused: one of the two would have no effect', () => {
    assert.equal(problem(list, '--json', '--json'), '--json is given twice');
    assert.equal(problem(list, '--state=/a', '--state', '/b'), '--state is given twice');
  });

  it('a value where none belongs, none where one belongs, and one that is not among the choices', () => {
    assert.equal(problem(list, '--json=yes'), '--json takes no value');
    assert.equal(problem(list, '--state'), '--state needs DIR');
    assert.match(problem(list, '--state', '--json'), /^--state needs DIR/);
    assert.equal(given(list, '--state=--json')?.options.state, '--json');
    assert.equal(problem(list, '--sort', 'size'), '--sort is one of age, name');
  });

  it('operands that are missing or too many, and none is repeated to the screen', () => {
    assert.equal(problem(open), 'DOOR is missing');
    assert.equal(problem(open, 'a', 'b', 'c'), 'too much is given');
    assert.equal(problem(list, 'secret'), 'only options can be given');
  });

  it('what belongs to another command is handed on as it is', () => {
    assert.deepEqual(given(behind, '--door', 'front', 'grep', '--door=x', '-e', '--', '', '--help')?.rest, [
      'grep',
      '--door=x',
      '-e',
      '--',
      '',
      '--help',
    ]);
    assert.deepEqual(given(behind, '--', '--door')?.rest, ['--door']);
    assert.deepEqual(given(behind)?.rest, []);
  });

  it('help wins over what is missing, and not over what is wrong', () => {
    assert.equal(parse(open, ['--help']).kind, 'help');
    assert.equal(parse(open, ['-h']).kind, 'help');
    assert.equal(parse(open, ['-h', '--shut']).kind, 'refused');
  });
});

describe('what a command line asks for', () => {
  const refused = (...argv: string[]): string => {
    const asked = resolve(PROGRAM, argv);
    assert.equal(asked.kind, 'refused', argv.join(' '));
    return asked.kind === 'refused' ? asked.text : '';
  };

  it('a command under each of its names', () => {
    for (const name of ['open', 'unlock']) {
      const asked = resolve(PROGRAM, [name, 'front']);
      assert.equal(asked.kind === 'run' && asked.command, open);
    }
    const asked = resolve(PROGRAM, ['all', 'list']);
    assert.equal(asked.kind === 'run' && asked.command, list);
  });

  it('one that is not there: the name that was probably meant, and all there are', () => {
    assert.match(refused('opne'), /^doors: there is no command "opne"\. Did you mean open\?\n\ndoors 1\.2\.3: /);
    assert.match(refused('all', 'lst'), /^doors: there is no command "lst"\. Did you mean list\?/);
    assert.match(refused('all'), /doors all list/);
    assert.match(refused(), /doors all list/);
    for (const name of ['constructor', '__proto__', '']) assert.match(refused(name), /there is no command/);
  });

  it('wrong use names the command and shows its form', () => {
    assert.equal(
      refused('open', '--key-fil', 'x'),
      'doors open: there is no --key-fil. Did you mean --key-file?\nuse: doors open [--key-file FILE] DOOR [MINUTES]\n',
    );
  });
});

describe('completions for bash', () => {
  const complete = (...words: string[]): string[] => {
    const script = `${bashCompletions(PROGRAM)}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { echo "compopt $*"; }
_doors; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const ended = spawnSync('bash', ['--norc', '-eu', '-c', script, 'bash', ...words], { encoding: 'utf8' });
    assert.equal(ended.stderr, '');
    return ended.stdout.split('\n').filter((line) => line !== '');
  };

  it('commands, options, choices and files', () => {
    assert.deepEqual(complete('doors', ''), [
      'all',
      'open',
      'unlock',
      'behind',
      'completions',
      'help',
      '--help',
      '--version',
    ]);
    assert.deepEqual(complete('doors', 'o'), ['open']);
    assert.deepEqual(complete('doors', 'all', ''), ['list', '--help']);
    assert.deepEqual(complete('doors', 'all', 'list', ''), ['--state', '--json', '--sort']);
    assert.deepEqual(complete('doors', 'all', 'list', '--s'), ['--state', '--sort']);
    assert.deepEqual(complete('doors', 'all', 'list', '--sort', ''), ['age', 'name']);
    assert.deepEqual(complete('doors', 'unlock', '--key-file', ''), ['compopt -o default']);
    assert.deepEqual(complete('doors', 'unlock', '-'), ['--key-file', '--help']);
    assert.deepEqual(complete('doors', 'completions', ''), ['bash']);
    assert.deepEqual(complete('doors', 'nonsense', ''), []);
  });

  it('behind the word of another command nothing of ours is offered', () => {
    assert.deepEqual(complete('doors', 'behind', '--'), ['--door', '--help']);
    assert.deepEqual(complete('doors', 'behind', 'grep', '--'), []);
    assert.ok(complete('doors', 'behind', 'tru').includes('true'));
  });
});

describe('the manual page', () => {
  it('is text that troff prints as it is', () => {
    const page = manPage(PROGRAM);
    assert.ok(page.includes('doors \\- opens doors \\- and .shuts them'));
    assert.ok(page.includes('\n\\&.doors says where the doors are.'));
    assert.ok(page.includes('.B \\-\\-key\\-file FILE'));
  });
});
