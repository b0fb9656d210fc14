import { searchWords } from '../../contract/search.ts'
import { plainWords } from '../shell/prose.ts'
import type { Article } from './articles.ts'

/** The articles in which every word begins some word: those that have them all in their title first, else in their own order. */
export function findArticles(articles: readonly Article[], typed: string): Article[] {
  const words = searchWords(typed)
  if (words.length === 0) return []
  const found = articles.flatMap((article) => {
    const title = searchWords(article.title)
    const text = searchWords(plainWords(textOf(article)))
    const inTitle = words.every((word) => title.some((each) => each.includes(word)))
    const inText = words.every((word) => [...title, ...text].some((each) => each.startsWith(word)))
    return inTitle || inText ? [{ article, inTitle }] : []
  })
  return found.sort((a, b) => Number(b.inTitle) - Number(a.inTitle)).map(({ article }) => article)
}

function textOf(article: Article): string {
  const sections = article.sections.flatMap((section) => [section.title, ...section.passages.flat()])
  return [article.short, ...sections].join(' ').replace(/[^\p{L}\p{N}\s-]/gu, ' ')
}
