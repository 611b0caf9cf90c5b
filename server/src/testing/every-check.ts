import type { HealthCheck } from '../platform/module.ts';
import { createTestApp } from './test-app.ts';

/** The health checks of a server on which everything is switched on that has one. */
export async function everyCheck(): Promise<readonly HealthCheck[]> {
  const { app, close } = await createTestApp({
    env: {
      IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
      IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_LDAP_TLS_LISTEN_ADDR: 'off',
      IDENTREE_POCKETID_API_KEY: 'b4bQ1wWqvJ7m0r9cXk2ZsT5u',
      IDENTREE_AUDIT_LOG: 'stdout',
      IDENTREE_AUDIT_RETENTION: 'attempts=30',
      IDENTREE_AUDIT_ARCHIVE_DIR: '/var/lib/identree-server/audit-archive',
    },
    app: { oddSettings: 1 },
  });
  try {
    return app.checks;
  } finally {
    await close();
  }
}
