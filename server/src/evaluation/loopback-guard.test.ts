import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guardArrival } from './loopback-guard.ts';

const AUTHORITY = 'localhost:8090';
const arrival = (headers: Record<string, string> = {}, rest: { remoteAddress?: string; target?: string } = {}) => ({
  remoteAddress: '127.0.0.1',
  target: '/',
  rawHeaders: Object.entries({ Host: AUTHORITY, ...headers }).flat(),
  ...rest,
});
const status = (...args: Parameters<typeof arrival>) => guardArrival(arrival(...args), AUTHORITY)?.status ?? null;

test('the own browser comes in, by IPv4 and IPv6', () => {
  for (const remoteAddress of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1']) {
    assert.equal(status({}, { remoteAddress }), null);
  }
});

test('nobody else comes in', () => {
  for (const remoteAddress of ['192.168.1.7', '::ffff:192.168.1.7', '2001:db8::1', '']) {
    assert.equal(status({}, { remoteAddress }), 403);
  }
});

test('one Host exactly: DNS rebinding and other names of this machine are turned away', () => {
  for (const Host of [
    'evil.example',
    '127.0.0.1:8090',
    '[::1]:8090',
    'localhost',
    'localhost:8091',
    'LOCALHOST:8090',
    'localhost:8090.',
    '',
  ]) {
    assert.equal(status({ Host }), 421, Host);
  }
  assert.equal(guardArrival({ ...arrival(), rawHeaders: [] }, AUTHORITY)?.status, 421);
  const twice = ['Host', AUTHORITY, 'host', 'evil.example'];
  assert.equal(guardArrival({ ...arrival(), rawHeaders: twice }, AUTHORITY)?.status, 421);
});

test('a request target that names another server is turned away', () => {
  for (const target of ['http://evil.example/', 'https://localhost:8090/', '*', ''])
    assert.equal(status({}, { target }), 421);
});

test('every sign of a proxy or tunnel is turned away, whatever it says', () => {
  for (const name of [
    'Forwarded',
    'X-Forwarded-For',
    'x-forwarded-host',
    'X-FORWARDED-PROTO',
    'X-Forwarded-Anything',
    'X-Real-IP',
    'Via',
    'True-Client-IP',
    'CF-Connecting-IP',
    'X-Original-URL',
  ]) {
    assert.equal(status({ [name]: '127.0.0.1' }), 400, name);
    assert.equal(status({ [name]: '' }), 400, name);
  }
});
