import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { type GuardedSession, guardContents, guardSession, WEB_PREFERENCES } from './guard-contents.ts';

function fires(emitter: EventEmitter, event: string): boolean {
  let prevented = false;
  emitter.emit(event, { preventDefault: () => (prevented = true) });
  return prevented;
}

test('a window stays where the main process put it', () => {
  let openHandler: (() => { action: string }) | null = null;
  const contents = Object.assign(new EventEmitter(), {
    setWindowOpenHandler: (handler: () => { action: 'deny' }) => {
      openHandler = handler;
    },
  });
  guardContents(contents);
  for (const event of ['will-navigate', 'will-frame-navigate', 'will-redirect', 'will-attach-webview']) {
    assert.ok(fires(contents, event), event);
  }
  assert.deepEqual(openHandler!(), { action: 'deny' });
});

test('every permission is denied, when it is asked for and when it is looked up', () => {
  const handlers: Record<string, (...args: never[]) => unknown> = {};
  const set = (name: string) => (handler: (...args: never[]) => unknown) => {
    handlers[name] = handler;
  };
  const session = Object.assign(new EventEmitter(), {
    setPermissionRequestHandler: set('request'),
    setPermissionCheckHandler: set('check'),
    setDevicePermissionHandler: set('device'),
    setDisplayMediaRequestHandler: set('display'),
  });
  guardSession(session as unknown as GuardedSession);
  for (const permission of ['notifications', 'media', 'clipboard-read', 'openExternal', 'fullscreen', 'anything-new']) {
    const answers: boolean[] = [];
    (handlers.request as unknown as (...args: unknown[]) => void)(null, permission, (ok: boolean) => answers.push(ok));
    assert.deepEqual(answers, [false], permission);
    assert.equal((handlers.check as unknown as (...args: unknown[]) => boolean)(null, permission), false);
  }
  assert.equal((handlers.device as unknown as () => boolean)(), false);
  assert.equal(handlers.display, null);
  for (const event of ['will-download', 'select-hid-device', 'select-serial-port', 'select-usb-device']) {
    assert.ok(fires(session, event), event);
  }
});

test('windows run sandboxed, isolated and without Node', () => {
  const { sandbox, contextIsolation, nodeIntegration, nodeIntegrationInWorker, nodeIntegrationInSubFrames } =
    WEB_PREFERENCES;
  assert.deepEqual(
    { sandbox, contextIsolation, nodeIntegration, nodeIntegrationInWorker, nodeIntegrationInSubFrames },
    {
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
    },
  );
  const { webSecurity, allowRunningInsecureContent, experimentalFeatures, webviewTag, navigateOnDragDrop, devTools } =
    WEB_PREFERENCES;
  assert.ok(webSecurity);
  assert.ok(
    ![allowRunningInsecureContent, experimentalFeatures, webviewTag, navigateOnDragDrop, devTools].includes(
      true as never,
    ),
  );
});
