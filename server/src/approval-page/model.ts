import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server';
import type { ChallengeView } from '../challenges/view.ts';

/** Everything that the approval page shows. */
export interface ApprovalPageModel {
  view: ChallengeView;
  /** Present when the viewer may approve now and the policy asks for a passkey. */
  passkey: { options: PublicKeyCredentialRequestOptionsJSON } | null;
  viewer: { username: string; displayName: string };
}
