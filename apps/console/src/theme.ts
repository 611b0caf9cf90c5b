import { Badge, createTheme, Drawer, Modal, Notification } from '@mantine/core';

const closeButtonProps = { 'aria-label': 'Close' };

/**
 * One accent; shades and threshold chosen so that every text reaches WCAG AA in light and dark. The greys of the dark
 * scheme are those of the server-rendered pages.
 */
export const theme = createTheme({
  primaryColor: 'indigo',
  primaryShade: { light: 7, dark: 8 },
  autoContrast: true,
  luminanceThreshold: 0.2,
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  colors: {
    dark: [
      '#e9ecf1',
      '#b9c0cc',
      '#a4adbc',
      '#7c8596',
      '#333945',
      '#272c36',
      '#1d2129',
      '#171a21',
      '#0e1015',
      '#090a0e',
    ],
  },
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif',
  fontFamilyMonospace:
    'ui-monospace, "SF Mono", SFMono-Regular, Menlo, "Cascadia Mono", Consolas, "DejaVu Sans Mono", monospace',
  headings: { fontWeight: '650' },
  components: {
    Badge: Badge.extend({ classNames: { root: 'badge' } }),
    Modal: Modal.extend({ defaultProps: { closeButtonProps, radius: 'lg' }, classNames: { title: 'dialog-title' } }),
    Notification: Notification.extend({ defaultProps: { closeButtonProps } }),
    Drawer: Drawer.extend({ defaultProps: { closeButtonProps }, classNames: { title: 'dialog-title' } }),
  },
});
