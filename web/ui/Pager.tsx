import { Button } from './Button.tsx'

type Pages = { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown }

/** Under a list that is read page by page, newest first. Nothing when its end is there. */
export function Pager({ pages }: { pages: Pages }) {
  if (!pages.hasNextPage) return null
  return <Button onClick={() => pages.fetchNextPage()}>{pages.isFetchingNextPage ? 'Loading' : 'Older'}</Button>
}
