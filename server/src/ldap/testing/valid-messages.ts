import { element } from '../ber/writer.ts';
import { OID } from '../protocol/operation.ts';
import {
  abandon,
  bind,
  cancel,
  compare,
  extended,
  message,
  pagingControl,
  saslBind,
  search,
  unbind,
} from './messages.ts';

/** One of everything that clients send: what mutations start from. */
export const VALID_MESSAGES: readonly Buffer[] = [
  bind(1),
  bind(2, 'cn=sssd,dc=example,dc=com', 'secret', { controls: [{ oid: OID.passwordPolicy }] }),
  saslBind(3, 'EXTERNAL', ''),
  unbind(4),
  abandon(5, 4),
  compare(6, 'uid=alice,ou=people,dc=example,dc=com', 'uidNumber', '200001'),
  extended(7, OID.whoAmI),
  extended(8, OID.startTls),
  cancel(9, 1),
  message(10, element(0x66, element(4, 'cn=x'), element(0x30))),
  search(11, { base: '', scope: 0, attributes: ['*', '+'] }),
  search(12, {
    base: 'ou=people,dc=example,dc=com',
    filter: '(&(uid=alice)(objectclass=posixAccount)(uid=*)(&(uidNumber=*)(!(uidNumber=0))))',
    attributes: ['objectClass', 'uid', 'uidNumber', 'userCertificate;binary'],
    controls: [pagingControl(1000, 'cookie')],
  }),
  search(13, {
    base: 'ou=sudoers,dc=example,dc=com',
    filter: '(|(sudoHost=+*)(sudoHost=*\\\\*)(cn=a*b*c)(x>=1)(x<=1)(x~=1)(cn:dn:2.5.13.2:=y))',
    controls: [{ oid: '1.2.3', critical: true, value: Buffer.from('x') }],
  }),
];
