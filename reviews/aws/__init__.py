"""SageMaker's control plane of human review, and the Augmented AI runtime, for AWS clients."""
