import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import BetterSqlite from 'better-sqlite3';
import { faultsOfPostgres, faultsOfSqlite } from './query-plans.ts';

describe('plans that read through a table that grows are noticed', () => {
  const db = new BetterSqlite(':memory:');
  db.exec(`
    create table challenges (id text primary key, username text, status text, created_at bigint);
    create index challenges_over_of on challenges (username, created_at);
    create index challenges_pending on challenges (username) where status = 'pending';
    create table hosts (id text primary key, hostname text);
  `);
  const faults = (text: string) =>
    faultsOfSqlite(text, db.prepare(`explain query plan ${text}`).all() as Parameters<typeof faultsOfSqlite>[1]);

  test('on SQLite', () => {
    for (const bad of [
      `select * from challenges where status = 'approved'`,
      `select * from challenges as c where c.status = 'approved' limit 1`,
      `select count(*) from challenges`,
      `delete from challenges where created_at < 5`,
      `select * from hosts join challenges on challenges.created_at = hosts.hostname`,
      `select * from challenges where username = 'mira' order by status limit 10`,
      `select * from challenges where status = 'pending' and id > 'x' order by id limit 10`,
    ])
      assert.notDeepEqual(faults(bad), [], bad);
    for (const good of [
      `select * from challenges where id = 'x'`,
      `select * from challenges where username = 'mira' order by created_at desc limit 10`,
      `select * from challenges where status = 'pending' and username = 'mira' order by created_at`,
      `select * from challenges where id in (select id from challenges where username = 'mira') order by created_at`,
      'select * from hosts order by hostname',
    ])
      assert.deepEqual(faults(good), [], good);
  });

  test('on Postgres', () => {
    const scan = { 'Node Type': 'Seq Scan', 'Relation Name': 'events' };
    assert.deepEqual(faultsOfPostgres({ 'Node Type': 'Limit', Plans: [scan] }), ['Seq Scan events']);
    const whole = { 'Node Type': 'Index Scan', 'Relation Name': 'events', 'Index Name': 'events_pkey' };
    assert.equal(faultsOfPostgres(whole).length, 1);
    assert.deepEqual(faultsOfPostgres({ ...whole, 'Index Cond': '(seq > $1)' }), []);
    assert.deepEqual(faultsOfPostgres({ 'Node Type': 'Seq Scan', 'Relation Name': 'hosts' }), []);
    const waiting = { ...whole, 'Relation Name': 'notify_deliveries', 'Index Name': 'notify_deliveries_waiting' };
    assert.deepEqual(faultsOfPostgres(waiting), []);
    assert.equal(faultsOfPostgres({ ...waiting, 'Index Name': 'notify_deliveries_of_channel' }).length, 1);
  });
});
