import type { Config } from '../config/config.ts';
import type { Random } from '../platform/random.ts';
import type { RunCommand } from '../platform/run-command.ts';
import type { EscrowBackend } from './backend.ts';
import { createBitwardenEscrow } from './backends/bitwarden.ts';
import { createCommandEscrow } from './backends/command.ts';
import { createInfisicalEscrow } from './backends/infisical.ts';
import { createLocalEscrow } from './backends/local.ts';
import { createOnePasswordEscrow } from './backends/one-password.ts';
import { createVaultEscrow } from './backends/vault.ts';
import type { Http } from './http.ts';

/** The keeper of passwords, by configuration; null: there is none. */
export function createEscrowBackend(
  config: Config['escrow'],
  deps: { http: Http; random: Random; run: RunCommand },
): EscrowBackend | null {
  const { backend, encryptionKey, encryptionKeyPrevious, hkdfSalt, authId, command } = config;
  const { http, random, run } = deps;
  // Configuration was refused without those that the backend needs.
  const url = config.url ?? '';
  const secret = config.authSecret ?? '';
  const path = config.path ?? '';
  switch (backend) {
    case null:
      return command && createCommandEscrow({ ...command, run });
    case 'local':
      return createLocalEscrow({ secret: encryptionKey!, previous: encryptionKeyPrevious, salt: hkdfSalt, random });
    case 'vault':
      return createVaultEscrow({ url, roleId: authId, secret, path, http });
    case '1password-connect':
      return createOnePasswordEscrow({ url, token: secret, vault: path, http });
    case 'bitwarden':
      return createBitwardenEscrow({ url, accessToken: secret, path, http, random });
    case 'infisical':
      return createInfisicalEscrow({ url, clientId: authId ?? '', clientSecret: secret, path, http });
  }
}
