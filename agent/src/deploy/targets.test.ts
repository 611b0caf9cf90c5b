import assert from 'node:assert/strict';
import { it } from 'node:test';
import { CommandError } from '../exit-codes.ts';
import { parseTargets } from './targets.ts';

it('hosts come from arguments and from a list, with what ssh connects to', () => {
  const list = '# web\n\nWEB3.example.com\nweb4.example.com\tssh://ops@10.0.0.4:2222\r\n';
  assert.deepEqual(parseTargets(['web1.example.com', 'web2.example.com=ops@web2'], list), [
    { name: 'web1.example.com', destination: 'web1.example.com' },
    { name: 'web2.example.com', destination: 'ops@web2' },
    { name: 'web3.example.com', destination: 'WEB3.example.com' },
    { name: 'web4.example.com', destination: 'ssh://ops@10.0.0.4:2222' },
  ]);
  assert.deepEqual(parseTargets([], ''), []);
});

it('what ssh or a shell would take for something else is no host', () => {
  for (const word of [
    'web1=-oProxyCommand=id',
    '-oProxyCommand=id',
    'web1=$(id)',
    'web1=a;id',
    'web1=',
    'we b1',
    'web1=a\nb',
    'web_1; id',
  ])
    assert.throws(() => parseTargets([word], ''), CommandError, word);
  for (const list of ['web1 -J', 'web1 web2 web3', '--hosts', 'web1 `id`'])
    assert.throws(() => parseTargets([], list), /line 1/, list);
});

it('a host that is named twice would be done twice at once', () => {
  assert.throws(() => parseTargets(['web1', 'WEB1=other'], ''), /web1 is named twice/);
  assert.throws(() => parseTargets(['web1'], 'web1'), /web1 is named twice/);
});
