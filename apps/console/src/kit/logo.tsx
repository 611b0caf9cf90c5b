/** The mark: one trunk, three leaves. */
export function Logo({ size = 24 }: { size?: number }) {
  return (
    <svg className="logo" viewBox="0 0 24 24" width={size} height={size} aria-hidden="true" focusable="false">
      <path
        d="M12 21V9m0 8-5-4.5M12 14l5-4.5"
        fill="none"
        stroke="currentColor"
        strokeWidth="2"
        strokeLinecap="round"
      />
      <circle cx="12" cy="5.5" r="3.25" />
      <circle cx="5.25" cy="11" r="2.5" />
      <circle cx="18.75" cy="8.5" r="2.5" />
    </svg>
  );
}
