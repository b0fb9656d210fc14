/** The mark: the three inks. */
export function BrandMark() {
  return (
    <span aria-hidden="true" className="inline-grid w-24 gap-y-4 border-ink forced-color-adjust-none">
      <span className="h-4 ink-available" />
      <span className="h-4 ink-held" />
      <span className="h-4 ink-coming" />
    </span>
  )
}
