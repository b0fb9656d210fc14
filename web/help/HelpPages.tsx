import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { paths } from '../paths.ts'
import { NotFound } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { Passages, Prose, Words } from '../shell/Prose.tsx'
import { linkClass } from '../ui/Button.tsx'
import { Crumbs } from '../ui/Crumbs.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Field } from '../ui/Field.tsx'
import { type Article, articles, topics } from './articles.ts'
import { findArticles } from './find.ts'

/** All articles as a tree, or those that have the words. */
export function HelpPage() {
  const { q = '' } = getRouteApi('/help').useSearch()
  const navigate = useNavigate()
  const found = findArticles(articles, q)
  return (
    <Page title="Help" width="reading">
      <EdgeText className="pb-8">
        <div className="max-w-field">
          <Field
            label="Search the articles"
            type="search"
            defaultValue={q}
            onChange={(event) => {
              const words = event.currentTarget.value
              void navigate({ ...paths.help(words ? { q: words } : {}), replace: true, resetScroll: false })
            }}
            autoComplete="off"
            spellCheck={false}
            maxLength={100}
          />
        </div>
      </EdgeText>
      {q ? (
        <EdgeText className="pt-8">
          <p role="status" className="text-label text-quiet">
            {found.length === 0
              ? `No article has “${q}”. Try another word, or write to us: the address stands below.`
              : `${found.length} ${found.length === 1 ? 'article has' : 'articles have'} “${q}”.`}
          </p>
          <ArticleList articles={found} />
        </EdgeText>
      ) : (
        topics.map((topic) => (
          <EdgeText key={topic.title} className="pt-16">
            <h2 className="text-lead font-medium">{topic.title}</h2>
            <ArticleList articles={topic.articles} />
          </EdgeText>
        ))
      )}
      {found.length === 0 && (
        <EdgeText className="pt-24">
          <Passages passages={['Not answered here? [How to reach a person](/help/reaching-us): {support}.']} />
        </EdgeText>
      )}
    </Page>
  )
}

function ArticleList({ articles: listed }: { articles: readonly Article[] }) {
  return (
    <ul className="mt-8">
      {listed.map((article) => (
        <li key={article.slug} className="line-above py-12">
          <Link {...paths.article(article.slug)} className={`font-medium ${linkClass}`}>
            {article.title}
          </Link>
          <p className="mt-4 text-label text-quiet">
            <Words text={article.short} />
          </p>
        </li>
      ))}
    </ul>
  )
}

export function ArticlePage() {
  const { article: slug } = getRouteApi('/help/$article').useParams()
  const topic = topics.find((each) => each.articles.some((article) => article.slug === slug))
  const article = topic?.articles.find((each) => each.slug === slug)
  if (!topic || !article) return <NotFound />
  const others = topic.articles.filter((each) => each !== article)
  return (
    <Page
      title={article.title}
      width="reading"
      above={
        <Crumbs
          links={[
            {
              key: 'help',
              link: (
                <Link {...paths.help()} className={linkClass}>
                  Help
                </Link>
              ),
            },
            { key: 'topic', link: <span>{topic.title}</span> },
          ]}
        />
      }
    >
      <EdgeText>
        <p className="font-medium">
          <Words text={article.short} />
        </p>
      </EdgeText>
      <Prose sections={article.sections} />
      <EdgeText className="pt-32">
        <h2 className="font-medium">More on this: {topic.title.toLowerCase()}</h2>
        <ul className="mt-8 grid gap-8">
          {others.map((each) => (
            <li key={each.slug}>
              <Link {...paths.article(each.slug)} className={linkClass}>
                {each.title}
              </Link>
            </li>
          ))}
        </ul>
      </EdgeText>
    </Page>
  )
}
