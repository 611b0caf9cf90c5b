import { CURRENT, FILES } from './store.ts';

/** The paths that sssd.conf names. Links into the folder of the certificates, so that renewal changes all at once. */
export const CERTIFICATE_LINKS = {
  certificate: '/etc/identree/client.crt',
  key: '/etc/identree/client.key',
  ca: '/etc/identree/ca.crt',
} as const;

/** Where each of them leads, relative to its folder. */
export const LINK_TARGETS: Record<string, string> = Object.fromEntries(
  (['certificate', 'key', 'ca'] as const).map((part) => [CERTIFICATE_LINKS[part], `tls/${CURRENT}/${FILES[part]}`]),
);
