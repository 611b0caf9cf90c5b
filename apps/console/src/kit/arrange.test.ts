import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { arrange, byText, type ListView, type Unreadable } from './arrange.ts';

interface Machine {
  name: string;
  state: 'good' | 'bad';
}
const machines: Machine[] = [
  { name: 'web10', state: 'good' },
  { name: 'db1', state: 'bad' },
  { name: 'web2', state: 'good' },
  { name: 'web1', state: 'bad' },
];
const view = (changes: Partial<ListView> = {}): ListView => ({
  search: '',
  by: 'name',
  descending: false,
  page: 1,
  ...changes,
});
const orders = {
  name: (a: Machine, b: Machine) => byText(a.name, b.name),
  state: (a: Machine, b: Machine) => byText(a.state, b.state),
};
const arranged = (changes: Partial<ListView> = {}, pageSize = 10, entries: (Machine | Unreadable)[] = machines) =>
  arrange(entries, view(changes), {
    orders,
    usual: orders.name,
    textOf: ({ name, state }) => `${name} ${state}`,
    pageSize,
  });
const names = (changes?: Partial<ListView>, pageSize?: number) =>
  arranged(changes, pageSize).shown.map((entry) => ('name' in entry ? entry.name : entry.id));

describe('a list', () => {
  test('is in the order that people count in', () => {
    assert.deepEqual(names(), ['db1', 'web1', 'web2', 'web10']);
    assert.deepEqual(names({ descending: true }), ['web10', 'web2', 'web1', 'db1']);
  });

  test('keeps the usual order among equals, in both directions', () => {
    assert.deepEqual(names({ by: 'state' }), ['db1', 'web1', 'web2', 'web10']);
    assert.deepEqual(names({ by: 'state', descending: true }), ['web2', 'web10', 'db1', 'web1']);
  });

  test('has the usual order for a name from an address that means nothing', () => {
    assert.deepEqual(names({ by: 'constructor' }), names());
    assert.deepEqual(names({ by: '' }), names());
  });

  test('is searched for every word, in any case and any part', () => {
    assert.deepEqual(names({ search: 'WEB good' }), ['web2', 'web10']);
    assert.deepEqual(names({ search: 'web  bad' }), ['web1']);
    assert.deepEqual(names({ search: 'nothing' }), []);
    assert.deepEqual(arranged({ search: 'nothing' }), { shown: [], first: 0, count: 0, page: 1, pages: 1 });
  });

  test('is cut into pages; one that is not there any more is the last', () => {
    assert.deepEqual(names({ page: 2 }, 3), ['web10']);
    assert.deepEqual(names({ page: 9 }, 3), ['web10']);
    assert.deepEqual(names({ page: -1 }, 3), ['db1', 'web1', 'web2']);
    const { first, count, page, pages } = arranged({ page: 2 }, 3);
    assert.deepEqual({ first, count, page, pages }, { first: 4, count: 4, page: 2, pages: 2 });
  });

  test('is the same list afterwards', () => {
    const before = [...machines];
    names({ descending: true });
    assert.deepEqual(machines, before);
  });

  test('shows first what cannot be read, and no search hides it', () => {
    const broken: Unreadable = { unreadable: true, id: 'b', errorId: 'E1' };
    const { shown, count } = arranged({ search: 'db', descending: true }, 10, [...machines, broken]);
    assert.deepEqual(shown, [broken, machines[1]]);
    assert.equal(count, 2);
  });
});
