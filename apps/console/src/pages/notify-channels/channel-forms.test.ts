import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingOf, settingsOf, typedOf } from './channel-forms.ts';

const names = ['host', 'port', 'tls', 'from', 'to', 'user', 'ca', 'locale'];

test('what is typed becomes settings as the server takes them, and settings become what was typed', () => {
  const typed = {
    host: ' mail.example.com ',
    port: '2525',
    tls: '',
    from: 'a@example.com',
    to: 'b@example.com\n\nc@x',
  };
  const settings = settingsOf('email', typed);
  assert.deepEqual(settings, {
    host: 'mail.example.com',
    port: 2525,
    from: 'a@example.com',
    to: ['b@example.com', 'c@x'],
  });
  const again = typedOf('email', settings, names);
  assert.deepEqual(settingsOf('email', again), settings);
});

test('a field that the server cannot do without is missed, unless it is not shown', () => {
  assert.deepEqual(missingOf('ntfy', { url: 'https://ntfy.example.com', topic: ' ' }, ['url', 'topic']), ['topic']);
  assert.deepEqual(missingOf('ntfy', {}, ['locale']), []);
});
