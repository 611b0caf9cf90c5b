import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  aliveFrame,
  createFrameReader,
  type HookFrame,
  MAX_PAYLOAD,
  ProtocolViolation,
  promptFrame,
  textFrame,
  verdictFrame,
} from './frames.ts';

const hookFrame = (type: string, payload: Buffer) =>
  Buffer.concat([Buffer.from([type.charCodeAt(0), payload.length >> 8, payload.length & 0xff]), payload]);

describe('hook frames', () => {
  it('are the bytes of the protocol', () => {
    assert.equal(aliveFrame().toString('hex'), '410000');
    assert.equal(verdictFrame(true).toString('hex'), '56000130');
    assert.equal(verdictFrame(false).toString('hex'), '56000131');
    assert.equal(textFrame('hä').toString('hex'), `540003${Buffer.from('hä').toString('hex')}`);
  });

  it('a prompt says first whether what is typed is shown, and is cut at a character', () => {
    assert.equal(promptFrame('Code: ', false).toString('latin1'), 'P\0\x070Code: ');
    assert.equal(promptFrame('', true).toString('latin1'), 'P\0\x011');
    const long = promptFrame(`a${'ä'.repeat(400)}`, true);
    assert.equal(long.readUInt16BE(1), long.length - 3);
    assert.ok(long.length <= 3 + 1 + 512);
    assert.doesNotMatch(long.subarray(3).toString('utf8'), /\ufffd/);
  });

  it('what a person typed stays in no buffer but the one that is handed on', () => {
    const whole = hookFrame('S', Buffer.from('hunter2'));
    for (const cut of [whole.length, 1, 4, 9]) {
      const chunks = [Buffer.from(whole.subarray(0, cut)), Buffer.from(whole.subarray(cut))];
      const typed: string[] = [];
      const read = createFrameReader((frame) => typed.push(frame.type === 'S' ? frame.payload.toString() : ''));
      for (const chunk of chunks) read(chunk);
      assert.deepEqual(typed, ['hunter2']);
      for (const chunk of chunks) assert.ok(chunk.every((byte) => byte === 0));
    }
  });

  it('a line that is too long is cut at a character, not inside one', () => {
    const bytes = textFrame(`a${'ä'.repeat(MAX_PAYLOAD)}`);
    assert.ok(bytes.length <= MAX_PAYLOAD + 3);
    assert.equal(bytes.readUInt16BE(1), bytes.length - 3);
    assert.doesNotMatch(bytes.subarray(3).toString('utf8'), /\ufffd/);
  });

  it('come out the same however the stream is cut', () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(payloads, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (parts, cuts) => {
        const bytes = Buffer.concat(parts.map((part) => hookFrame('H', Buffer.from(part))));
        const frames: HookFrame[] = [];
        const read = createFrameReader((frame) => frames.push(frame));
        for (let at = 0, i = 0; at < bytes.length; i += 1) {
          const size = cuts[i % cuts.length]!;
          read(bytes.subarray(at, at + size));
          at += size;
        }
        assert.deepEqual(
          frames.map((frame) => (frame.type === 'H' ? frame.payload.toString('hex') : '')),
          parts.map((part) => Buffer.from(part).toString('hex')),
        );
      }),
    );
  });

  for (const [name, bytes] of Object.entries({
    'an unknown type': Buffer.from([0x00, 0, 0]),
    'a frame of the agent': verdictFrame(true),
    'a hello above the limit': Buffer.from([0x48, 0x20, 0x01]),
    'a cancel with a novel': Buffer.from([0x43, 0x01, 0x00]),
    'a typed line above the limit': Buffer.from([0x53, 0x04, 0x01]),
  })) {
    it(`${name} is a violation`, () => {
      const read = createFrameReader(() => assert.fail('no frame'));
      assert.throws(() => read(bytes), ProtocolViolation);
    });
  }
});
