import assert from 'node:assert/strict';
import { test } from 'node:test';
import { externalUrl, mayOpenExternally } from './external-link.ts';

const ORIGIN = 'https://identree.example.com';
const PAGE = `${ORIGIN}/approve/ABCDEF-123456`;

test('the approval page and the sign-in page of the profile may be opened', () => {
  const signIn = externalUrl(ORIGIN, {
    kind: 'sign-in',
    codeChallenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    redirectUri: 'http://127.0.0.1:40123/callback',
    state: 'abc_-123',
  });
  assert.equal(externalUrl(ORIGIN, { kind: 'approve', code: 'ABCDEF-123456' }), PAGE);
  assert.equal(mayOpenExternally(PAGE, ORIGIN), true);
  assert.equal(mayOpenExternally(signIn, ORIGIN), true);
  assert.equal(mayOpenExternally('http://localhost:8090/approve/ABCDEF-123456', 'http://localhost:8090'), true);
});

const refused: [why: string, url: string, origin?: string][] = [
  ['script', 'javascript:alert(1)'],
  ['script that looks like our origin', `javascript:location='${PAGE}'`],
  ['a file', 'file:///etc/passwd'],
  ['a file on our host', 'file://identree.example.com/approve/ABCDEF-123456'],
  ['a network share', 'smb://identree.example.com/approve/ABCDEF-123456'],
  ['a program of the desktop', 'ms-settings:privacy'],
  ['mail', 'mailto:someone@example.com'],
  ['our own scheme', 'identree://approve/ABCDEF-123456'],
  ['data', 'data:text/html,<script>alert(1)</script>'],
  ['plain http', 'http://identree.example.com/approve/ABCDEF-123456'],
  [
    'plain http even when the profile says so',
    'http://identree.example.com/approve/ABCDEF-123456',
    'http://identree.example.com',
  ],
  ['plain http to an address', 'http://127.0.0.1:8090/approve/ABCDEF-123456', 'http://127.0.0.1:8090'],
  [
    'http to a name that begins like localhost',
    'http://localhost.evil.example/approve/ABCDEF-123456',
    'http://localhost.evil.example',
  ],
  ['another host', 'https://evil.example/approve/ABCDEF-123456'],
  ['a host below ours', 'https://x.identree.example.com/approve/ABCDEF-123456'],
  ['our host as a prefix', 'https://identree.example.com.evil.example/approve/ABCDEF-123456'],
  ['our host with a dot', 'https://identree.example.com./approve/ABCDEF-123456'],
  ['another port', 'https://identree.example.com:8443/approve/ABCDEF-123456'],
  ['userinfo', 'https://identree.example.com@evil.example/approve/ABCDEF-123456'],
  ['userinfo before our host', 'https://someone@identree.example.com/approve/ABCDEF-123456'],
  ['a password before our host', 'https://a:b@identree.example.com/approve/ABCDEF-123456'],
  ['a Cyrillic look-alike', 'https://іdentree.example.com/approve/ABCDEF-123456'],
  ['its punycode', 'https://xn--dentree-qog.example.com/approve/ABCDEF-123456'],
  ['a full-width spelling that a browser folds', 'https://identree．example．com/approve/ABCDEF-123456'],
  ['upper case that a browser folds', 'HTTPS://IDENTREE.EXAMPLE.COM/approve/ABCDEF-123456'],
  ['a default port that a browser drops', 'https://identree.example.com:443/approve/ABCDEF-123456'],
  ['backslashes', 'https:\\\\identree.example.com\\approve\\ABCDEF-123456'],
  ['white space', ` ${PAGE}`],
  ['a line break', 'https://identree.example.com/appr\nove/ABCDEF-123456'],
  ['another page', `${ORIGIN}/`],
  ['a page of the console', `${ORIGIN}/hosts`],
  ['an endpoint', `${ORIGIN}/api/desktop/token`],
  ['no code', `${ORIGIN}/approve/`],
  ['not a code', `${ORIGIN}/approve/ABCDEI-123456`],
  ['a path after the code', `${PAGE}/deny`],
  ['dots', `${ORIGIN}/approve/../admin`],
  ['encoded dots', `${ORIGIN}/approve/%2e%2e/admin`],
  ['an encoded slash', `${ORIGIN}/approve%2FABCDEF-123456`],
  ['a query', `${PAGE}?decision=approved`],
  ['a fragment', `${PAGE}#x`],
  ['nothing', ''],
  ['no URL', 'identree.example.com/approve/ABCDEF-123456'],
];

for (const [why, url, origin = ORIGIN] of refused) {
  test(`not opened: ${why}`, () => assert.equal(mayOpenExternally(url, origin), false));
}
