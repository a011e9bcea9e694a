//! A matrix with a generic cell.

use std::ops::{Add, Mul};

#[derive(Debug, Clone)]
pub struct Matrix<T> {
    cells: Vec<Vec<T>>,
    width: usize,
}

impl<T> Matrix<T>
where
    T: Copy + Default + Add<Output = T> + Mul<Output = T>,
{
    pub fn at(&self, x: usize, y: usize) -> Option<T> {
        if x >= self.width {
            return None;
        }
        let cell = self.cells[y][x];
        Some(cell)
    }

    pub fn set(&mut self, x: usize, y: usize, value: T) -> Option<()> {
        self.cells[y][x] = value;
        Some(())
    }

    pub fn row(&self, y: usize) -> Result<&[T], String> {
        Ok(&self.cells[y])
    }

    pub fn fill(&mut self, y: usize, value: T) {
        for cell in &mut self.cells[y] {
            *cell = value;
        }
    }

    pub fn product(&self, other: &Self, y: usize, x: usize) -> Option<T> {
        let mut sum = T::default();
        for (at, left) in self.cells[y].iter().enumerate() {
            sum = sum + *left * other.cells[at][x];
        }
        Some(sum)
    }
}
