//! Shortest ways through a graph.

use std::collections::VecDeque;

#[derive(Default)]
pub struct Graph {
    edges: Vec<Vec<usize>>,
}

impl Graph {
    pub fn distance(&self, from: usize, to: usize) -> Option<u32> {
        let mut distances = vec![None; self.edges.len()];
        distances[from] = Some(0_u32);
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            let here = distances[at].unwrap();
            for &next in &self.edges[at] {
                if distances[next].is_none() {
                    distances[next] = Some(here + 1);
                    queue.push_back(next);
                }
            }
        }
        distances[to]
    }

    pub fn degree(&self, at: usize) -> usize {
        self.edges[at].len()
    }

    pub fn connect(&mut self, a: usize, b: usize) {
        self.edges[a].push(b);
        self.edges[b].push(a);
    }

    pub fn neighbors(&self, at: usize) -> Option<impl Iterator<Item = &usize>> {
        Some(self.edges[at].iter())
    }
}
