//! Lists that the server gives page by page.

use std::future::Future;

use futures::stream::{self, StreamExt, TryStreamExt};
use naq_core::{BoxStream, Result};

/// One page, and how many there are in all.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) total: u64,
}

/// All items, fetched a page at a time as the reader gets to it.
pub(super) fn all<T, F, Fut>(fetch: F) -> BoxStream<'static, Result<T>>
where
    T: Send + 'static,
    F: Fn(u64) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Page<T>>> + Send + 'static,
{
    let pages = stream::try_unfold((fetch, Some(0_u64)), |(fetch, offset)| async move {
        let Some(offset) = offset else { return Result::<_>::Ok(None) };
        let Page { items, total } = fetch(offset).await?;
        let next = offset + items.len() as u64;
        // An empty page ends it, whatever the total says: streams go while one lists.
        let next = (!items.is_empty() && next < total).then_some(next);
        Ok(Some((stream::iter(items.into_iter().map(Ok)), (fetch, next))))
    });
    pages.try_flatten().boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_follow_one_another_until_the_total_or_an_empty_one() {
        let list = |have: u64, total: u64| {
            all(move |offset| async move {
                Ok(Page { items: (offset..have.min(offset + 2)).collect(), total })
            })
        };
        assert_eq!(list(5, 5).try_collect::<Vec<_>>().await.unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(list(2, 5).try_collect::<Vec<_>>().await.unwrap(), [0, 1]);
        assert!(list(0, 0).try_collect::<Vec<_>>().await.unwrap().is_empty());
    }
}
