import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { userCode } from '#shared/names.ts';
import { answerMessages, MessageRefused, message } from './ipc.ts';
import type { IpcPort, IpcSender, WindowKind } from './ports.ts';

function setUp(current: { id: number; kind: WindowKind } | null = { id: 7, kind: 'console' }) {
  const listeners = new Map<string, Parameters<IpcPort['handle']>[1]>();
  const ipc: IpcPort = { handle: (channel, listener) => void listeners.set(channel, listener) };
  const acted: unknown[] = [];
  answerMessages(ipc, () => current, [
    message({ channel: 'console:open', page: 'console', schema: userCode, act: (code) => acted.push(code) }),
    message({ channel: 'setup:go', page: 'setup', schema: z.undefined(), act: () => acted.push('go') }),
  ]);
  return {
    acted,
    send: (channel: string, sender: Partial<IpcSender>, ...args: unknown[]) =>
      listeners.get(channel)!(
        { windowId: 7, frame: { url: 'app://console/history?x#y', isMain: true }, ...sender },
        args,
      ),
  };
}

test('a message of the main frame of the window that shows its page is answered', async () => {
  const { send, acted } = setUp();
  await send('console:open', {}, 'ABCDEF-123456');
  assert.deepEqual(acted, ['ABCDEF-123456']);
});

const foreign: [why: string, sender: Partial<IpcSender>][] = [
  ['a frame that is gone', { frame: null }],
  ['a frame inside the page', { frame: { url: 'app://console/', isMain: false } }],
  ['another window', { windowId: 8 }],
  ['another page of the shell', { frame: { url: 'app://setup/', isMain: true } }],
  ['the server itself', { frame: { url: 'https://identree.example.com/', isMain: true } }],
  ['a host that begins like ours', { frame: { url: 'app://console.evil/', isMain: true } }],
  ['our host with a port', { frame: { url: 'app://console:1/', isMain: true } }],
  ['our host in another scheme', { frame: { url: 'https://console/', isMain: true } }],
  ['an empty page', { frame: { url: 'about:blank', isMain: true } }],
  ['no URL', { frame: { url: '', isMain: true } }],
];

for (const [why, sender] of foreign) {
  test(`refused: ${why}`, async () => {
    const { send, acted } = setUp();
    await assert.rejects(send('console:open', sender, 'ABCDEF-123456'), MessageRefused);
    assert.deepEqual(acted, []);
  });
}

test('refused: a message of the console while the setup page is open, and the other way round', async () => {
  const setup = setUp({ id: 7, kind: 'setup' });
  await assert.rejects(setup.send('console:open', {}, 'ABCDEF-123456'), MessageRefused);
  await assert.rejects(setUp().send('setup:go', { frame: { url: 'app://setup/', isMain: true } }), MessageRefused);
  await assert.rejects(setUp(null).send('console:open', {}, 'ABCDEF-123456'), MessageRefused);
});

test('refused: arguments of another shape', async () => {
  const { send, acted } = setUp();
  for (const args of [
    [],
    [undefined],
    [null],
    [{}],
    [['ABCDEF-123456']],
    ['abcdef-123456'],
    ['ABCDEF-123456/../x'],
    ['ABCDEF-123456', 'more'],
    ['x'.repeat(1_000_000)],
    [Object.assign(Object.create(null), { toString: () => 'ABCDEF-123456' })],
  ]) {
    await assert.rejects(send('console:open', {}, ...args), MessageRefused);
  }
  assert.deepEqual(acted, []);
});
