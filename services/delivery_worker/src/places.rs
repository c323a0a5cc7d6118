//! Shares out a queue's places: which claimed job starts next, and how many more to claim.
//!
//! A queue has so many places, and each destination at most its share of them, so that one that hangs holds up neither the others nor
//! the queue. Behind each of its places a destination may have a few claimed jobs waiting, as a claim a place would cost a statement a
//! delivery; one with that many is left out of further claims, and no claim is larger than what a destination has room for. So a claim
//! never brings jobs that must be given back.

use std::collections::{HashMap, VecDeque};

use pulse_domain::ids::IntegrationId;

/// Jobs in hand per place of a destination before it is left out of claims: enough for the places to stay busy while a claim is made.
const IN_HAND_PER_PLACE: u32 = 4;

/// The bounds of one queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Upper bound on deliveries under way.
    pub(crate) places: u32,
    /// Upper bound on deliveries under way to one destination.
    pub(crate) per_destination: u32,
    /// Upper bound on jobs in one claim.
    pub(crate) batch: u32,
}

impl Limits {
    /// The number of jobs in hand from which a destination is left out of claims.
    fn busy_from(self) -> u32 {
        self.share().saturating_mul(IN_HAND_PER_PLACE)
    }

    fn share(self) -> u32 {
        self.per_destination.min(self.places)
    }

    /// Upper bound on jobs in the next claim: no more than one destination has room for.
    fn claim_max(self) -> u32 {
        self.batch.min(self.busy_from())
    }

    /// Upper bound on claimed, unfinished jobs: twice what all places may have in hand, so that the places run out before the room does,
    /// however slow some destinations are.
    fn in_hand_max(self) -> u32 {
        self.places.saturating_mul(2 * IN_HAND_PER_PLACE)
    }
}

/// The jobs of one queue that are claimed and not finished; `J` is a job that waits.
#[derive(Debug)]
pub(crate) struct Places<J> {
    limits: Limits,
    by_id: HashMap<IntegrationId, Destination<J>>,
    /// The destinations that have a job waiting and a place free, each once, in turn.
    ready: VecDeque<IntegrationId>,
    under_way: u32,
    waiting: u32,
}

#[derive(Debug)]
struct Destination<J> {
    under_way: u32,
    waiting: VecDeque<J>,
    is_ready: bool,
}

impl<J> Destination<J> {
    fn in_hand(&self) -> u32 {
        self.under_way.saturating_add(u32::try_from(self.waiting.len()).unwrap_or(u32::MAX))
    }
}

impl<J> Places<J> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, by_id: HashMap::new(), ready: VecDeque::new(), under_way: 0, waiting: 0 }
    }

    /// How many jobs to claim next; none while there is no room for a whole claim.
    pub(crate) fn claim_limit(&self) -> Option<u32> {
        let (in_hand, limit) = (self.under_way.saturating_add(self.waiting), self.limits.claim_max());
        (in_hand.saturating_add(limit) <= self.limits.in_hand_max()).then_some(limit)
    }

    /// The destinations to leave out of the next claim.
    pub(crate) fn busy(&self) -> Vec<IntegrationId> {
        let busy_from = self.limits.busy_from();
        self.by_id.iter().filter(|(_, destination)| destination.in_hand() >= busy_from).map(|(id, _)| *id).collect()
    }

    /// A claimed job waits for its place.
    pub(crate) fn hold(&mut self, id: IntegrationId, job: J) {
        let destination = self.by_id.entry(id).or_insert_with(|| Destination { under_way: 0, waiting: VecDeque::new(), is_ready: false });
        destination.waiting.push_back(job);
        self.waiting += 1;
        self.settle(id);
    }

    /// The next job to start, which takes a place until [`Places::finish`]: destinations take turns.
    pub(crate) fn start(&mut self) -> Option<(IntegrationId, J)> {
        if self.under_way >= self.limits.places {
            return None;
        }
        while let Some(id) = self.ready.pop_front() {
            let Some(destination) = self.by_id.get_mut(&id) else { continue };
            destination.is_ready = false;
            let next = destination.waiting.pop_front();
            if next.is_some() {
                destination.under_way += 1;
                self.under_way += 1;
                self.waiting -= 1;
            }
            self.settle(id);
            if let Some(job) = next {
                return Some((id, job));
            }
        }
        None
    }

    /// A place is free again. Says whether the destination may be claimed for again that could not be before.
    pub(crate) fn finish(&mut self, id: IntegrationId) -> bool {
        let Some(destination) = self.by_id.get_mut(&id) else { return false };
        let was_busy = destination.in_hand() >= self.limits.busy_from();
        destination.under_way = destination.under_way.saturating_sub(1);
        let is_busy = destination.in_hand() >= self.limits.busy_from();
        self.under_way = self.under_way.saturating_sub(1);
        self.settle(id);
        was_busy && !is_busy
    }

    /// Takes the waiting jobs that match out of hand.
    pub(crate) fn take_waiting(&mut self, matches: impl Fn(&J) -> bool) -> Vec<J> {
        let mut taken = Vec::new();
        for destination in self.by_id.values_mut() {
            let (matching, others) = std::mem::take(&mut destination.waiting).into_iter().partition::<VecDeque<J>, _>(&matches);
            destination.waiting = others;
            taken.extend(matching);
        }
        self.waiting = self.waiting.saturating_sub(u32::try_from(taken.len()).unwrap_or(u32::MAX));
        // A destination that is listed must stay, or it could be listed twice; its turn removes it.
        self.by_id.retain(|_, destination| destination.in_hand() > 0 || destination.is_ready);
        taken
    }

    /// Lists the destination if it can start a job, and forgets it when nothing of it is in hand.
    fn settle(&mut self, id: IntegrationId) {
        let share = self.limits.share();
        let Some(destination) = self.by_id.get_mut(&id) else { return };
        if destination.is_ready {
            return;
        }
        if destination.in_hand() == 0 {
            self.by_id.remove(&id);
        } else if !destination.waiting.is_empty() && destination.under_way < share {
            destination.is_ready = true;
            self.ready.push_back(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { places: 8, per_destination: 2, batch: 100 };

    fn started(destinations: &mut Places<u32>) -> Vec<u32> {
        std::iter::from_fn(|| destinations.start().map(|(_, job)| job)).collect()
    }

    #[test]
    fn a_destination_gets_its_share_of_places_and_the_others_theirs() {
        let mut destinations = Places::new(LIMITS);
        let [slow, quick] = [(); 2].map(|()| IntegrationId::generate());
        (0..5).for_each(|job| destinations.hold(slow, job));
        destinations.hold(quick, 100);
        assert_eq!(started(&mut destinations), [0, 100, 1]);
        destinations.finish(slow);
        assert_eq!(started(&mut destinations), [2]);
    }

    #[test]
    fn all_places_are_the_bound_of_all() {
        let mut destinations = Places::new(LIMITS);
        (0..20).for_each(|job| destinations.hold(IntegrationId::generate(), job));
        assert_eq!(started(&mut destinations).len(), 8);
    }

    #[test]
    fn a_busy_destination_is_left_out_until_it_has_caught_up() {
        let mut destinations = Places::new(LIMITS);
        let id = IntegrationId::generate();
        assert_eq!(destinations.claim_limit(), Some(8), "never more than one destination has room for");
        (0..8).for_each(|job| destinations.hold(id, job));
        assert_eq!((destinations.busy(), destinations.claim_limit()), (vec![id], Some(8)));
        assert_eq!(started(&mut destinations), [0, 1]);
        assert_eq!(destinations.busy(), [id]);
        assert!(destinations.finish(id), "it may be claimed for again");
        assert!(destinations.busy().is_empty());
        assert!(!destinations.finish(id), "which is news only once");
    }

    #[test]
    fn without_room_nothing_is_claimed() {
        let mut destinations = Places::new(LIMITS);
        for _ in 0..4 {
            let id = IntegrationId::generate();
            (0..15).for_each(|job| destinations.hold(id, job));
        }
        assert_eq!(destinations.claim_limit(), None);
        destinations.take_waiting(|job| *job >= 10);
        assert_eq!(destinations.claim_limit(), Some(8));
    }

    #[test]
    fn what_is_taken_out_is_not_started() {
        let mut destinations = Places::new(LIMITS);
        let id = IntegrationId::generate();
        (0..4).for_each(|job| destinations.hold(id, job));
        assert_eq!(destinations.take_waiting(|job| job % 2 == 0), [0, 2]);
        assert_eq!(started(&mut destinations), [1, 3]);
        destinations.finish(id);
        destinations.finish(id);
        assert!(destinations.by_id.is_empty(), "a destination with nothing in hand takes no memory");
    }

    proptest! {
        /// Claims as the loop makes them: limited by `claim_limit`, never for a busy destination, all jobs for one in the worst case.
        #[test]
        fn bounds_hold_and_nothing_is_lost_whatever_happens(
            steps in proptest::collection::vec((0usize..5, 0u32..4), 1..300), places in 1u32..20, per_destination in 1u32..8, batch in 1u32..40
        ) {
            let limits = Limits { places, per_destination, batch };
            let ids: Vec<IntegrationId> = (0..5).map(|_| IntegrationId::generate()).collect();
            let mut destinations = Places::new(limits);
            let mut under_way: Vec<IntegrationId> = Vec::new();
            let (mut held, mut out) = (0u32, 0u32);
            for (which, action) in steps {
                let id = ids[which];
                match action {
                    0 => if let Some(limit) = destinations.claim_limit() && !destinations.busy().contains(&id) {
                        (0..limit).for_each(|_| destinations.hold(id, held));
                        held += limit;
                    },
                    1 => while let Some((id, _)) = destinations.start() { under_way.push(id) },
                    2 => if let Some(at) = under_way.iter().position(|other| *other == id) {
                        under_way.swap_remove(at);
                        destinations.finish(id);
                        out += 1;
                    },
                    _ => out += u32::try_from(destinations.take_waiting(|job| job % 3 == 0).len()).unwrap(),
                }
                let of = |id: &IntegrationId| under_way.iter().filter(|other| *other == id).count();
                prop_assert!(under_way.len() <= places as usize && ids.iter().all(|id| of(id) <= per_destination as usize));
                prop_assert!(destinations.under_way + destinations.waiting <= limits.in_hand_max());
                prop_assert_eq!(destinations.under_way as usize, under_way.len());
                prop_assert_eq!(held - out, destinations.under_way + destinations.waiting);
            }
            while held > out {
                while let Some((id, _)) = destinations.start() { under_way.push(id) }
                let id = under_way.pop().expect("a job in hand can always be started once a place is free");
                destinations.finish(id);
                out += 1;
            }
        }
    }
}
