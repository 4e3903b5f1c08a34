"""Models on the workers of a Ray cluster: one process, here, claims the questions and stores the answers.

Workers share no folder with this process. Requests and answers travel as the messages of
`avemo_harness.models.worker.protocol`; clips as objects of Ray's store, which keeps each once a node.
"""
