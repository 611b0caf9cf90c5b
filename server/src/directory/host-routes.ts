import { Refusal } from '#shared/errors.ts';
import { directoryQuery, type ProvisionAnswer, provisionRequest } from '#shared/host-api.ts';
import type { Enrolment } from '../hosts/enrolment.ts';
import { type HostOperation, hostOperation } from '../http/host-operation.ts';
import type { HostSettings } from './host-settings.ts';

/**
 * What a host needs to reach the directory as itself.
 *
 * @param settings null: this server serves no directory, and says so to hosts that it knows
 */
export function directoryRoutes(
  settings: HostSettings | null,
  enrolment: Pick<Enrolment, 'certifyByToken'>,
): HostOperation[] {
  return [
    hostOperation({
      method: 'GET',
      path: '/directory',
      query: directoryQuery,
      run: ({ act, query }) =>
        act(async (_work, host) => {
          if (settings === null) throw new Refusal('directory_off');
          return { settings: await settings.signed(host, query.nonce) };
        }),
    }),
    // What the operations guide names for a host that needs another certificate: by OpenSSL and curl, where no agent can.
    hostOperation({
      method: 'POST',
      base: '/api/client',
      path: '/provision',
      body: provisionRequest,
      guessable: true,
      async run({ body, remoteAddr }): Promise<ProvisionAnswer> {
        if (settings === null) throw new Refusal('directory_off');
        const { host, issued, caBundle } = await enrolment.certifyByToken(body(), remoteAddr);
        const { ldapUrl, baseDn, bind, caBundle: directoryCa } = await settings.of(host, '');
        return {
          ldap_url: ldapUrl,
          base_dn: baseDn,
          ...(bind === null ? {} : { bind_dn: bind.dn, bind_password: bind.password }),
          tls_ca_cert: directoryCa,
          client_cert: issued.pem,
          ca_cert: caBundle,
          cert_serial: issued.serial,
        };
      },
    }),
  ];
}
