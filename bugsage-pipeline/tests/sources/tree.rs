//! A tree in a vector.

#[derive(Debug, Clone, Default)]
pub struct Node {
    pub parent: Option<usize>,
    pub children: Vec<usize>,
    pub weight: (u32, f64),
}

pub struct Tree(pub Vec<Node>);

impl Tree {
    pub fn parent(&self, at: usize) -> Option<&Node> {
        let parent = self.0[at].parent.unwrap();
        Some(&self.0[parent])
    }

    pub fn weight(&self, at: usize) -> Option<f64> {
        Some(self.0[at].weight.1 * 2.0)
    }

    pub fn heavier(&mut self, at: usize) -> Option<&mut Node> {
        self.0[at].weight.0 += 1;
        Some(&mut self.0[at])
    }

    pub fn grandchild(&self, at: usize) -> Option<usize> {
        let child = self.0[at].children[0];
        let grandchild = *self.0[child].children.first().unwrap();
        Some(grandchild)
    }

    pub fn root(&self, mut at: usize) -> usize {
        while let Some(parent) = self.0[at].parent {
            at = parent;
        }
        at
    }
}
