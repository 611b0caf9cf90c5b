import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProtocolViolation } from './frames.ts';
import { createPrompts } from './prompts.ts';

function prompting() {
  const sent: string[] = [];
  const gone = new AbortController();
  const prompts = createPrompts((bytes) => void sent.push(bytes.toString('latin1')), gone.signal);
  return { ...prompts, sent, gone };
}

describe('prompts at a hook', () => {
  it('say whether what is typed may be seen, and end with what was typed', async () => {
    const { prompt, typed, sent } = prompting();
    const line = prompt('Code: ', { echo: false });
    typed(Buffer.from('hunter2'));
    assert.deepEqual(await line, Buffer.from('hunter2'));
    const second = prompt('Reason: ', { echo: true });
    typed(Buffer.alloc(0));
    assert.deepEqual(await second, Buffer.alloc(0), 'an empty line is an answer');
    assert.deepEqual(sent, ['P\0\x070Code: ', 'P\0\x091Reason: ']);
  });

  it('end with nothing when the person cancels or is gone, before and after', async () => {
    const { prompt, gone, sent } = prompting();
    const line = prompt('Code: ', { echo: false });
    gone.abort('interrupt');
    assert.equal(await line, undefined);
    assert.equal(await prompt('Code: ', { echo: false }), undefined);
    assert.equal(sent.length, 1, 'nobody is asked who is gone');
  });

  it('come one at a time, and what nobody asked for is a violation', () => {
    const { prompt, typed } = prompting();
    assert.throws(() => typed(Buffer.from('x')), ProtocolViolation);
    void prompt('Code: ', { echo: false });
    assert.throws(() => prompt('Code: ', { echo: false }), /one prompt at a time/);
    typed(Buffer.from('x'));
    assert.throws(() => typed(Buffer.from('x')), ProtocolViolation);
  });
});
