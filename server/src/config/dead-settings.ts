/**
 * Variables of earlier installations that this version knows and does not use. They get their own warning, so that
 * nobody believes that they are in force and nobody takes them for a typing error.
 */
export const DEAD_SETTINGS: readonly string[] = [
  'OIDC_ISSUER_PUBLIC_URL',
  'OIDC_INSECURE_SKIP_VERIFY',
  'OIDC_ENFORCE_IP_BINDING',
  'INSTALL_URL',
  'HMAC_SECRET',
  'SESSION_SECRET',
  'ESCROW_SECRET',
  'API_KEYS',
  'MTLS_CA_CERT',
  'MTLS_CA_KEY',
  'MTLS_KMS_BACKEND',
  'MTLS_VAULT_ADDR',
  'MTLS_VAULT_TOKEN',
  'MTLS_VAULT_KEY_NAME',
  'INSTALL_SIGNING_KEY',
  'DEV_LOGIN',
  'GRACE_PERIOD',
  'ONE_TAP_MAX_AGE',
  'REQUIRE_JUSTIFICATION',
  'JUSTIFICATION_CHOICES',
  'NOTIFICATION_CONFIG_FILE',
  'ADMIN_NOTIFY_FILE',
  'NOTIFY_BACKEND',
  'NOTIFY_URL',
  'NOTIFY_TOKEN',
  'NOTIFY_COMMAND',
  'ESCROW_VAULT_MAP',
  'HOST_REGISTRY_FILE',
  'SESSION_STATE_FILE',
  'DEFAULT_PAGE_SIZE',
  'CLIENT_POLL_INTERVAL',
  'CLIENT_TOKEN_CACHE_ENABLED',
].map((name) => `IDENTREE_${name}`);

/** The same in the TOML file. */
export const DEAD_TOML_SECTIONS: readonly string[] = ['notifications', 'misc', 'client_defaults'];
