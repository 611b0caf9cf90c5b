import { createCipheriv, createECDH, hkdfSync, randomBytes } from 'node:crypto';

const CURVE = 'prime256v1';
/** One record holds the whole message. */
const RECORD_SIZE = 4096;
/** The only record is the last one (RFC 8188). */
const LAST_RECORD = 2;

/** What a browser gave when it subscribed. */
export interface Subscriber {
  /** Its public key, an uncompressed point of P-256. */
  publicKey: Buffer;
  /** 16 bytes that it shares with this server and with no push service. */
  auth: Buffer;
}

/**
 * Encrypts a message for one browser (RFC 8291, aes128gcm of RFC 8188): the push service that carries it reads nothing.
 *
 * @param fresh private key and salt of this message alone; tests hand in those of the RFC
 * @throws when the browser's key is no point of the curve
 */
export function encryptPush(
  message: Buffer,
  { publicKey, auth }: Subscriber,
  fresh: { privateKey?: Buffer; salt?: Buffer } = {},
): Buffer {
  const sender = createECDH(CURVE);
  if (fresh.privateKey) sender.setPrivateKey(fresh.privateKey);
  else sender.generateKeys();
  const senderKey = sender.getPublicKey();
  const salt = fresh.salt ?? randomBytes(16);
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), publicKey, senderKey]);
  const material = Buffer.from(hkdfSync('sha256', sender.computeSecret(publicKey), auth, info, 32));
  const key = Buffer.from(hkdfSync('sha256', material, salt, 'Content-Encoding: aes128gcm\0', 16));
  const nonce = Buffer.from(hkdfSync('sha256', material, salt, 'Content-Encoding: nonce\0', 12));
  const cipher = createCipheriv('aes-128-gcm', key, nonce);
  const sealed = [cipher.update(message), cipher.update(Buffer.of(LAST_RECORD)), cipher.final(), cipher.getAuthTag()];
  const size = Buffer.alloc(4);
  size.writeUInt32BE(RECORD_SIZE);
  return Buffer.concat([salt, size, Buffer.of(senderKey.length), senderKey, ...sealed]);
}
