import { armor, Decrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';

/** Somebody to whom passwords are sealed. */
export async function ageIdentity(): Promise<{ identity: string; recipient: string }> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** What somebody finds in a part. Rejects when it is for somebody else. */
export async function openPart(age: string, identity: string): Promise<string> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  return decrypter.decrypt(armor.decode(age), 'text');
}
