import { contextBridge, ipcRenderer } from 'electron';
import { CHANNELS } from '../channels.ts';

contextBridge.exposeInMainWorld('identreeSetup', {
  state: () => ipcRenderer.invoke(CHANNELS.setupState),
  onChange: (callback: (state: unknown) => void) => {
    ipcRenderer.on(CHANNELS.setupChanged, (_event, state) => callback(state));
  },
  saveServer: (address: unknown) => ipcRenderer.invoke(CHANNELS.saveServer, address),
  changeServer: () => ipcRenderer.invoke(CHANNELS.changeServer),
  startSignIn: () => ipcRenderer.invoke(CHANNELS.startSignIn),
  cancelSignIn: () => ipcRenderer.invoke(CHANNELS.cancelSignIn),
  /** Agreeing to a certificate is the person's own click, never a script's. */
  trustCertificate: (fingerprint: unknown) => {
    if (navigator.userActivation.isActive) void ipcRenderer.invoke(CHANNELS.trustCertificate, fingerprint);
  },
  chooseAuthority: () => ipcRenderer.invoke(CHANNELS.chooseAuthority),
  goBack: () => ipcRenderer.invoke(CHANNELS.goBack),
  saveProfile: (profile: unknown) => ipcRenderer.invoke(CHANNELS.saveProfile, profile),
  removeProfile: () => ipcRenderer.invoke(CHANNELS.removeProfile),
});
