//! Elections, with traits.

pub trait Count {
    fn votes(&self, party: usize) -> Option<u64>;

    fn share(&self, party: usize, all: &[u64]) -> Option<u64> {
        let share = self.votes(party).unwrap() * 100 / all[party];
        Some(share)
    }
}

pub struct Poll {
    votes: Vec<u64>,
}

impl Count for Poll {
    fn votes(&self, party: usize) -> Option<u64> {
        Some(self.votes[party])
    }
}

impl Poll {
    pub fn winner(&self, parties: &[&'static str]) -> Option<&'static str> {
        let (at, _) = self
            .votes
            .iter()
            .enumerate()
            .max_by_key(|(_, votes)| **votes)
            .unwrap();
        if self.votes[at] == 0 {
            return None;
        }
        let winner = parties[at];
        Some(winner)
    }

    pub fn ranks(&self, parties: &[String]) -> Vec<String> {
        let mut ranks = Vec::new();
        'parties: for (at, votes) in self.votes.iter().enumerate() {
            for other in &self.votes {
                if other > votes {
                    continue 'parties;
                }
            }
            let party = &parties[at];
            ranks.push(party.clone());
        }
        ranks
    }
}
