//! What a question by group and stretch of time would be answered from, without asking it.

use naq_core::Result;
use naq_core::events::{
    MadeFrom, QueryExplanation, QueryRequest, ReadEvents, ReadUntil, RecordedEvent, WhyRead,
};

use crate::answer::{Sources, gone_before};
use crate::digests::{Ask, Cell, CellFilter, Digest, Grain, Key, MinuteRange, Tally};
use crate::grouped::GroupedFold;

/// The operation that errors name.
pub(crate) const OPERATION: &str = "explain_query";

/// Looks at the digests that an answer would be made from, and counts what
/// would be read beside them.
pub(crate) async fn explain(
    Sources { log, digests, indexes }: Sources<'_>,
    request: &QueryRequest,
) -> Result<QueryExplanation> {
    let filter = CellFilter::of(&request.filter);
    let fold = GroupedFold::new(request, None);
    let open = log.open(OPERATION).await?;
    let mut explanation = QueryExplanation::default();
    explanation.filter = request.filter.to_string();
    explanation.stream_messages = open.info.state.messages;
    let meter = log.meter(OPERATION, request.scan);
    explanation.max_messages = meter.most_messages();
    let found = [
        (digests.is_none(), WhyRead::NoDigests),
        (filter.is_none(), WhyRead::Filter),
        (!fold.is_about_cells(), WhyRead::Groups),
    ];
    explanation.reasons =
        found.into_iter().filter(|(is_so, _)| *is_so).map(|(_, reason)| reason).collect();
    match digests.zip(filter.as_ref()).filter(|_| fold.is_about_cells()) {
        Some((digests, filter)) => {
            let ask = Ask {
                operation: OPERATION,
                log,
                open: &open,
                range: MinuteRange::new(request.start, request.end),
                filter,
                meter: &meter,
            };
            let mut used = Used { fold, digests: 0 };
            let (basis, parts) = digests.estimate(&ask, &mut used).await?;
            (explanation.made_from, explanation.parts) = (MadeFrom::Digests, parts);
            explanation.digests = used.digests;
            explanation.from_digests = basis.from_digests;
            explanation.messages_at_most = basis.read;
            explanation.holes = basis.holes;
        }
        None => {
            let options = ReadEvents::default()
                .with_until(ReadUntil::Head)
                .with_filter(request.filter.clone());
            let range = MinuteRange::new(request.start, request.end);
            let reading = log.explain(indexes, (options, &range)).await?;
            let index = reading.index.as_ref();
            explanation.made_from = index.map_or(MadeFrom::Log, |_| MadeFrom::Index);
            explanation.messages_at_most = reading.messages_at_most;
            explanation.parts = u64::from(reading.messages_at_most > 0);
            explanation.holes = gone_before(&open, &request.filter);
            explanation.reading = Some(reading);
        }
    }
    Ok(explanation)
}

/// Counts digests, and adds nothing up.
#[derive(Clone)]
struct Used<'a> {
    /// Knows which digests don't tell enough apart.
    fold: GroupedFold<'a>,
    digests: u64,
}

impl Tally for Used<'_> {
    fn grain(&self) -> Grain {
        self.fold.grain()
    }

    fn lacks(&self, digest: &Digest) -> bool {
        self.fold.lacks(digest)
    }

    fn digest(&mut self, _: &Digest) -> u64 {
        self.digests += 1;
        0
    }

    fn outside(&mut self, blocks: u64) {
        self.digests += blocks;
    }

    fn cells(&mut self, _: &Digest, _: &[(Key, Cell)]) -> u64 {
        0
    }

    fn event(&mut self, _: &RecordedEvent) -> bool {
        false
    }
}
